"""Bodies that come in chunks (RFC 9112, section 7.1): many chunks out of one read, without a step for each."""

from __future__ import annotations

import re
from typing import Final

from llmstack._wire.joined import joined_of

__all__ = ["Chunked", "MalformedError", "Sized"]

_size: Final = re.compile(rb"([0-9A-Fa-f]{1,20})[ \t]*(?:;[^\r\n]*)?\r\n").match
_trailers: Final = re.compile(rb"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[^\x00\r\n]*\r\n)*\r\n").match
_LINE_END: Final = b"\r\n"
_KNOWN: Final = 64
"""How many sizes of chunks are remembered."""
_SHORT: Final = 32
"""Bytes that a line may have to be remembered."""
_LONGEST: Final = 100 * 1024
"""Bytes that the line before a chunk, or what follows the last one, may have."""


class MalformedError(Exception):
    """What came is no body in chunks."""


class Chunked:
    """Takes the frames off a body in chunks.

    Attributes:
        done: True once the last chunk has come.
        rest: What came after it.
    """

    __slots__ = ("_left", "_sizes", "done", "rest")

    def __init__(self) -> None:
        self._left = 0  # bytes of the chunk that is coming, its line end included
        self._sizes: dict[bytes, int] = {}  # by the lines that told them: those of a stream are mostly alike
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came.

        Args:
            data: Bytes, split from the stream at any place.

        Returns:
            The body's own bytes among them, as one; `pieces_of` tells them apart by their chunks.

        Raises:
            MalformedError: If they are no chunks.
        """
        if self.rest:
            data, self.rest = self.rest + data, b""
        pieces: list[bytes] = []
        at, end, left, sizes = 0, len(data), self._left, self._sizes
        while at < end and not self.done:
            if left > 0:
                taken, body = min(left, end - at), max(0, left - 2)
                pieces.append(data[at : at + min(taken, body)])
                ending = data[at + body : at + taken]
                if ending and not _LINE_END.startswith(ending, body + 2 - left):
                    raise MalformedError("a chunk does not end where it should")
                at, left = at + taken, left - taken
                continue
            start = data.find(_LINE_END, at) + 2
            size = sizes.get(data[at:start], 0)
            if not size:
                size, start = self._told(data, at)
            if size < 0:
                at = end
            elif not size:
                at = self._finish(data, at, start)
            elif data.startswith(_LINE_END, start + size):  # all of it is here, as it mostly is
                pieces.append(data[start : start + size])
                at = start + size + 2
            else:
                at, left = start, size + 2
        self._left = left
        if self.done:
            self.rest = data[at:]
        return joined_of(pieces)

    def _told(self, data: bytes, at: int) -> tuple[int, int]:
        """The size of a chunk, and where it begins; -1 if the line that tells it has not come whole."""
        found = _size(data, at)
        if found is None:
            if b"\n" in data[at:] or len(data) - at > _LONGEST:
                raise MalformedError("illegal chunk header")
            self.rest = data[at:]
            return -1, at
        size = int(found[1], 16)
        if len(self._sizes) < _KNOWN and len(found[0]) < _SHORT:
            self._sizes[found[0]] = size
        return size, found.end()

    def _finish(self, data: bytes, at: int, after: int) -> int:
        """The last chunk has come: after it there may be trailers, which nobody asked for, and an empty line."""
        if found := _trailers(data, after):
            self.done = True
            return found.end()
        if b"\r\n\r\n" in data[after:]:
            raise MalformedError("illegal trailers")
        if len(data) - at > _LONGEST:
            raise MalformedError("too many trailers")
        self.rest = data[at:]
        return len(data)


class Sized:
    """The same for a body whose length was told.

    Attributes:
        done: True once all of it has come.
        rest: What came after it.
        got: Bytes that have come.
        size: Bytes that it has.
    """

    __slots__ = ("done", "got", "rest", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.got = 0
        self.rest = b""
        self.done = size == 0

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came; see `Chunked.feed`."""
        wanted = self.size - self.got
        if len(data) > wanted:
            data, self.rest = data[:wanted], data[wanted:]
        self.got += len(data)
        self.done = self.got == self.size
        return data
