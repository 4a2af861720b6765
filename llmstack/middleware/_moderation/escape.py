r"""Escapes: how a text reads to whoever takes it for JSON, as arguments of tools and structured answers are taken.

Beside a line break that is written ``\n`` the first word of a line is no word of its own, and letters that are written
``\u0065`` are none at all. JSON inside of JSON has its backslashes doubled, so their number says nothing here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

__all__ = ["Reading"]

_ESCAPE: Final = re.compile(
    r"(?<!\\)\\++(?:"
    r"u([dD][89abAB][0-9a-fA-F]{2})\\++u([dD][c-fC-F][0-9a-fA-F]{2})"  # a letter in two halves
    r"|u([0-9a-fA-F]{4})"
    r'|([nrtbf"/])'
    r")"
)
_BEGUN: Final = re.compile(
    r"(?<!\\)\\++(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\++(?:u[0-9a-fA-F]{0,3})?)?))?\Z"
)
_LONGEST: Final = 64
"""Characters of an escape that is not complete, its backslashes included."""
_SIGNS: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class Reading:
    """A text without its escapes.

    Attributes:
        text: How it reads.
    """

    __slots__ = ("_pieces", "_places", "text")

    def __init__(self, text: str, *, goes_on: bool) -> None:
        """Read a text.

        Args:
            text: The text.
            goes_on: True if more of it will come: an escape at its end that is not complete is not read yet.
        """
        begun = _BEGUN.search(text, max(0, len(text) - _LONGEST)) if goes_on else None
        end = len(text) if begun is None else begun.start()
        pieces: list[str] = []
        self._places: list[int] = []  # in the text, where each piece begins
        at = 0
        for found in _ESCAPE.finditer(text, 0, end):
            self._places += [at, found.start()]
            pieces += [text[at : found.start()], _meant(found)]
            at = found.end()
        self._places += [at, end]
        pieces += [text[at:end], ""]
        self._pieces = [0]  # and in what is read
        for piece in pieces[:-1]:
            self._pieces.append(self._pieces[-1] + len(piece))
        self.text = "".join(pieces)

    def place(self, at: int) -> int:
        """Where in the text it stands what is read at a place; what comes of one escape stands where that begins."""
        number = bisect_right(self._pieces, at) - 1
        escaped = number % 2 == 1
        return self._places[number] + (0 if escaped else at - self._pieces[number])


def _meant(found: re.Match[str]) -> str:
    high, low, code, sign = found.groups()
    if high is not None:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10 | int(low, 16) & 0x3FF))
    return chr(int(code, 16)) if code is not None else _SIGNS.get(sign, sign)
