"""Bytes that came in several pieces, as one."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Joined", "joined_of", "pieces_of"]


class Joined(bytes):
    """Pieces of a body that were read at once. Who looks for events takes them as one; who reads bytes gets each.

    Attributes:
        pieces: The pieces.
    """

    pieces: Sequence[bytes]


def joined_of(pieces: Sequence[bytes]) -> bytes:
    """The pieces as one."""
    if len(pieces) < 2:  # noqa: PLR2004 - then there is nothing to join
        return pieces[0] if pieces else b""
    joined = Joined(b"".join(pieces))
    joined.pieces = pieces
    return joined


def pieces_of(data: bytes) -> Sequence[bytes]:
    """The pieces of which bytes are made; they themselves if it is one."""
    return data.pieces if type(data) is Joined else (data,)
