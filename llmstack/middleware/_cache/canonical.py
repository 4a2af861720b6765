"""Canonical JSON: the same text for the same values, however they are spelled.

Keys are sorted, lists stay as they are. Numbers are JSON's, which has but one kind: 0, 0.0 and -0.0 are the same. Texts
are not normalised: a model may well answer another form of Unicode differently. For a long text its digest stands: what
is made here is hashed, and so a text of many pages is read once, and neither escaped nor copied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

__all__ = ["NotCanonicalError", "canonical"]

_LONG: Final = 1_000
"""Characters from which on a text is long."""

_PRINTED: Final = "\1"
"""What stands for a text begins with a NUL. So does nothing else, since a text that does is told by its digest, too. A
text that does not come before this one has no NUL there, and is not empty."""


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
        return _encode(_simple(value))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise NotCanonicalError(type(error).__name__) from None


def _simple(value: Any) -> Any:
    """The same value with whole numbers for floats that are such, and digests for long texts."""
    if isinstance(value, str):
        return value if (value >= _PRINTED and len(value) < _LONG) or not value else _digest(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {
            # Nearly all that there is, and there may be very much of it.
            name: inner if type(inner) is str and inner >= _PRINTED and len(inner) < _LONG else _simple(inner)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [
            inner
            if (kind := type(inner)) is int or (kind is str and inner >= _PRINTED and len(inner) < _LONG)
            else _simple(inner)
            for inner in value
        ]
    return value


def _digest(text: str) -> str:
    return f"\0{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=24).hexdigest()}"


def _plain(value: Any) -> Any:
    """What the SDK writes in the place of what is no JSON (openai/_utils/_json.py)."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return _simple(dict(value))
    dump = getattr(value, "model_dump", None)
    if dump is None or isinstance(value, type):
        raise TypeError
    return _simple(dump(exclude_unset=True, mode="json", by_alias=True))


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain).encode
