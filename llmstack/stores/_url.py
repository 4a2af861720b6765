"""What a store's URL says behind its question mark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

__all__ = ["positive", "query"]


def query(text: str, kinds: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """The options of a URL.

    Args:
        text: The query, without its question mark.
        kinds: By the name of each option that there is, what makes its value of text; ValueError if it cannot.

    Raises:
        ValueError: If an option is unknown, named twice, or of a wrong kind.
    """
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in kinds:
            raise ValueError(f"there is no option {name!r}; there are: {', '.join(sorted(kinds))}")
        if name in found:
            raise ValueError(f"the option {name!r} is given twice")
        try:
            found[name] = kinds[name](value)
        except ValueError as error:
            raise ValueError(f"the option {name!r}: {error}") from None
    return found


def positive(text: str) -> int:
    """A whole number above 0."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError("it must be a whole number above 0")
    return int(text)
