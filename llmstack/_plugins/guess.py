"""Guesses: what somebody may have meant who wrote a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["meant"]


def meant(name: str, known: Iterable[str], listed: str, none: str) -> str:
    """The end of a sentence that helps: the name meant, if one is close, else all that there are.

    Args:
        name: What was written.
        known: What could have been.
        listed: What comes before the list of them, such as ``"it takes"``.
        none: What to say if there are none.
    """
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"{listed}: {', '.join(names)}" if names else none
