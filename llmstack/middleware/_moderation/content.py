"""Content: what there is to be judged, of a question or of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["LOST", "NOTHING", "Content", "Gathering"]


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be judged.

    Attributes:
        texts: Texts, none of them empty.
        images: Addresses of images, or the images themselves as ``data:`` URLs.
        unreadable: What nobody here can look into: files, audio, tokens.
        spaced: Texts that came in parts once more, with a space between the parts. The model reads the parts as one,
            and nobody knows what it has between them; blocked terms are looked for in both.
    """

    texts: tuple[str, ...] = field(default=(), repr=False)
    images: tuple[str, ...] = field(default=(), repr=False)
    unreadable: tuple[str, ...] = ()
    spaced: tuple[str, ...] = field(default=(), repr=False)
    goes_on: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.texts or self.images or self.unreadable)


NOTHING: Final = Content()
LOST: Final = "answer too large"


class Gathering:
    """Content while it is being found."""

    def __init__(self) -> None:
        """Nothing has been found."""
        self.texts: list[str] = []
        self.images: list[str] = []
        self.unreadable: list[str] = []
        self._spaced: list[str] = []

    def add(self, parts: Iterable[str]) -> None:
        """Take the parts of one text."""
        pieces = [part for part in parts if part]
        if pieces:
            self.texts.append("".join(pieces))
        if len(pieces) > 1:
            self._spaced.append(" ".join(pieces))

    def done(self) -> Content:
        """What was found, each thing once."""
        images, unreadable = dict.fromkeys(self.images), dict.fromkeys(self.unreadable)
        return Content(tuple(self.texts), tuple(images), tuple(unreadable), tuple(self._spaced))
