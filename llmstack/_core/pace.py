"""Pace: how quickly a complete reply is replayed as a stream."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly a reply that is there already is given to a program that asked for a stream.

    Attributes:
        characters: Characters of text an event carries; 0 for each text in one piece.
        seconds: Seconds before each event.

    Raises:
        ValueError: If one of them is negative, or the seconds are no finite number.
    """

    characters: int
    seconds: float

    def __post_init__(self) -> None:
        """Refuse what could never end."""
        if self.characters < 0 or not 0 <= self.seconds < math.inf:
            raise ValueError(f"a pace must not be negative, or endless, as {self} is")
