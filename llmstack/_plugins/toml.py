"""Writing TOML: the half that the standard library lacks.

Written here and not by a package: a config needs six kinds of values, and comments in place of what may not be printed,
which none of the packages write. What is written is read back by `tomllib` in a property test.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

__all__ = ["key", "literal"]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def key(name: str) -> str:
    """A key, in quotes if it needs them."""
    return name if _BARE.fullmatch(name) else _text(name)


def literal(value: Any) -> str:  # noqa: PLR0911 - one for each kind of value
    """A value of TOML, in one line.

    Args:
        value: Text, number, boolean, date or time, or a list or table of these. A `Decimal` becomes a text, so that
            nothing is lost.

    Raises:
        TypeError: If TOML has no such value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return _text(str(value))
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key(str(name))} = {literal(item)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(item) for item in value)}]"
    raise TypeError(f"TOML has no value for a {type(value).__name__}")


def _text(text: str) -> str:
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character < " " or character == "\x7f":
        return f"\\u{ord(character):04x}"
    return character
