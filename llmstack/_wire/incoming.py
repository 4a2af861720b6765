"""An HTTP answer whose body is still arriving."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio

from llmstack._core.transport import Watch
from llmstack._wire.sdk import translated


class HttpIncoming:
    """Reads an ``httpx2.Response`` whose body has not been read.

    The program is given the same response object with another byte stream (see `tap`), so the bytes are read here
    through a second response on the original stream, which also undoes compression.
    """

    __slots__ = ("_aiter", "_iter", "_source", "native", "watch")

    def __init__(self, response: Any, watch: Watch) -> None:
        """Take over the response's byte stream."""
        self.native: Any = response
        self.watch = watch
        self._source = type(response)(
            response.status_code, headers=response.headers, stream=response.stream, request=response.request
        )
        self._iter: Iterator[bytes] | None = None
        self._aiter: AsyncIterator[bytes] | None = None

    def read(self) -> bytes | None:
        """The next bytes, None at the end."""
        if self._iter is None:
            self._iter = self._source.iter_bytes()
        try:
            return next(self._iter, None)
        except Exception as error:
            raise self._as_sdk(error) from error

    async def aread(self) -> bytes | None:
        """The next bytes, None at the end."""
        if self._aiter is None:
            self._aiter = self._source.aiter_bytes()
        try:
            return await anext(self._aiter, None)
        except Exception as error:
            raise self._as_sdk(error) from error

    def _as_sdk(self, error: Exception) -> Exception:
        return translated(error, self._source.request)

    def close(self) -> None:
        """Give the connection back."""
        with contextlib.suppress(Exception):
            self._source.close()

    async def aclose(self) -> None:
        """Give the connection back."""
        with contextlib.suppress(Exception):
            await self._source.aclose()
        if self._aiter is not None:
            # A generator left to the garbage collector would be finished in another context.
            with contextlib.suppress(Exception):
                await self._aiter.aclose()  # type: ignore[attr-defined]


class BytesIncoming:
    """The same over bytes at hand: for scripted transports and replays."""

    __slots__ = ("_pieces", "closed", "native", "watch")

    def __init__(self, pieces: Iterator[bytes | Exception], watch: Watch) -> None:
        """Give the pieces one by one; an exception among them is raised in its place."""
        self._pieces = pieces
        self.watch = watch
        self.native: Any = None
        self.closed = False

    def read(self) -> bytes | None:
        """The next piece, None at the end."""
        piece = None if self.closed else next(self._pieces, None)
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def aread(self) -> bytes | None:
        """The next piece; a real suspension point, as a read from a network is."""
        await anyio.lowlevel.checkpoint()
        return self.read()

    def close(self) -> None:
        """Nothing more is given."""
        self.closed = True

    async def aclose(self) -> None:
        """Nothing more is given."""
        self.closed = True
