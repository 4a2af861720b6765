"""Canonical JSON: the same text for the same values, however they are spelled.

Keys are sorted, lists stay as they are. Numbers are JSON's, which has but one kind: 0, 0.0 and -0.0 are the same. Texts
are not normalised: a model may well answer another form of Unicode differently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

__all__ = ["NotCanonicalError", "canonical"]


class NotCanonicalError(ValueError):
    """A value that is no JSON: NaN, bytes, an object, a cycle."""


def canonical(value: Any) -> str:
    """The canonical JSON text of a value, in ASCII.

    Args:
        value: JSON, in any mapping, or what the SDK would make JSON of: models of pydantic, dates.

    Raises:
        NotCanonicalError: If it is neither.
    """
    try:
        text = _encode(value)
        if (".0" in text or "e+" in text) and _looks_whole(text):
            text = _encode(json.loads(text, parse_float=_number))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise NotCanonicalError(type(error).__name__) from None
    return text


_looks_whole = re.compile(r"\d\.0(?:[],}]|$)|\de\+\d").search
"""How Python writes a float that is a whole number. A text that only looks like one takes the longer way, to the same
place."""


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _plain(value: Any) -> Any:
    """What the SDK writes in the place of what is no JSON (openai/_utils/_json.py)."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    dump = getattr(value, "model_dump", None)
    if dump is None or isinstance(value, type):
        raise TypeError
    return dump(exclude_unset=True, mode="json", by_alias=True)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain).encode
