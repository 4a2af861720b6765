"""Numbers that JSON does not have."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from llmstack.middleware._validation.finding import Findings, is_array, is_object, member

_PLAIN = frozenset({str, int, bool, type(None)})
_MANY = 16
_DEEPEST = 64
"""Levels looked into: JSON of the API has about ten, and a structure that contains itself must not hang the check."""


def is_finite(value: Any, depth: int = 0) -> bool:
    """True if neither NaN nor an infinity is anywhere in a value."""
    cls = type(value)
    if cls in _PLAIN or depth > _DEEPEST:
        return True
    if cls is dict:
        inner = value.values()
    elif isinstance(value, float):
        return isfinite(value)
    elif cls is list and len(value) >= _MANY and set(map(type, value)) <= _PLAIN:
        return True
    else:
        inner = value.values() if is_object(value) else value if is_array(value) else ()
    for item in inner:  # no generator, which costs twice as much: this is on the way of every call
        cls = type(item)
        if cls in _PLAIN or (cls is dict and _PLAIN.issuperset(map(type, item.values()))):
            continue
        if not is_finite(item, depth + 1):
            return False
    return True


def check_numbers(params: Mapping[str, Any], found: Findings) -> None:
    """Tell where NaN or an infinity is: no JSON can carry it, and the SDK raises a ValueError without a path."""
    if not is_finite(params):
        _find(params, "", found, 0)


def _find(value: Any, path: str, found: Findings, depth: int) -> None:
    if is_finite(value, depth):
        return
    if is_object(value):
        for key, item in value.items():
            _find(item, member(path, key), found, depth + 1)
    elif is_array(value):
        for i, item in enumerate(value):
            _find(item, f"{path}[{i}]", found, depth + 1)
    else:
        found.add(path, "NaN and infinities are no JSON numbers", everywhere=True)
