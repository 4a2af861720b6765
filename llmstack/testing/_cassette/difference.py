"""Difference: how a call differs from one that was recorded, told without content."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any

from llmstack.testing._cassette.entry import Asked, Entry

__all__ = ["canonical", "differences", "nearest"]

_TOLD = frozenset({"model", "endpoint", "method", "path"})
"""Fields whose texts may be told: they are nobody's words."""
_NOTHING: Any = object()


def canonical(asked: Asked) -> str:
    """What two calls have in common if one may be answered as the other."""
    return json.dumps({field.name: getattr(asked, field.name) for field in fields(asked)}, sort_keys=True, default=str)


def nearest(asked: Asked, entries: Sequence[Entry]) -> tuple[int, list[str]] | None:
    """The call of the same endpoint that differs least: its number, from 1, and the differences."""
    found = [
        (differences(entry.asked, asked), number)
        for number, entry in enumerate(entries, 1)
        if entry.asked.endpoint == asked.endpoint
    ]
    if not found:
        return None
    different, number = min(found, key=lambda one: len(one[0]))
    return number, different


def differences(recorded: Asked, asked: Asked) -> list[str]:
    """How what is asked differs from what was recorded, field by field."""
    found: list[str] = []
    for name in ("method", "path", "query", "files"):
        found += _different(name, _plain(getattr(recorded, name)), _plain(getattr(asked, name)))
    return [*found, *_different("", recorded.body, asked.body)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _different(path: str, recorded: Any, asked: Any) -> Iterator[str]:
    if recorded == asked and type(recorded) is type(asked):
        return
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        for key in sorted({*recorded, *asked}):
            inner = f"{path}.{key}" if path else str(key)
            yield from _different(inner, recorded.get(key, _NOTHING), asked.get(key, _NOTHING))
    elif isinstance(recorded, list) and isinstance(asked, list):
        for index, pair in enumerate(zip_longest(recorded, asked, fillvalue=_NOTHING)):
            yield from _different(f"{path}[{index}]", *pair)
    else:
        told = path in _TOLD
        yield f"{path or 'body'}: recorded {_shape(recorded, told=told)}, asked {_shape(asked, told=told)}" + (
            f", different from character {_split(recorded, asked)} on"
            if isinstance(recorded, str) and isinstance(asked, str) and not told
            else ""
        )


def _shape(value: Any, *, told: bool) -> str:
    if value is _NOTHING:
        return "nothing"
    if value is None or isinstance(value, (bool, int, float)) or told:
        return repr(value)
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return f"{'an object' if isinstance(value, Mapping) else 'a list'} of {len(value)}"


def _split(one: str, other: str) -> int:
    """The number of the first character that differs, from 1."""
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    return same + 1
