"""What is wrong with a cassette, or what it does not have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmstack.errors import StackError

__all__ = ["CassetteError"]


class CassetteError(StackError):
    """A cassette that cannot be read, or a call that is not in it; nothing was sent.

    Attributes:
        file: The cassette.
        differences: How the call differs from the nearest one recorded, field by field, without content.
    """

    def __init__(self, message: str, *, file: str = "", differences: Iterable[str] = (), **more: Any) -> None:
        """Make the error; `more` as for `StackError`."""
        super().__init__(message, **more)
        self.file = file
        self.differences = tuple(differences)
