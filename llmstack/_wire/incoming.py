"""An HTTP answer whose body is still arriving."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, NoReturn, Protocol

import anyio
import anyio.lowlevel
import httpx2

from llmstack._core.transport import Watch
from llmstack._wire.sdk import translated

_DRAIN = 0.1
"""Seconds that the end of a body may take to arrive once its end marker has, as in later versions of the SDK."""

_open: set[Iterator[bytes] | AsyncIterator[bytes]] = set()
"""The iterators of all bodies that are being read. A garbage collector that finds a dropped stream in a cycle would
otherwise close its iterator on the spot, in whatever it interrupts; what is held here is closed by `HttpIncoming`."""


class Joins(Protocol):
    """A body that can be read as it comes, however many pieces it was sent in."""

    def read(self) -> bytes | None:
        """The next bytes, None at the end."""
        ...

    async def aread(self) -> bytes | None:
        """The next bytes, None at the end."""
        ...

    def close(self, *, drain: bool = False) -> None:
        """Give the connection back; with `drain` the end of the body is waited for, a moment at most."""
        ...

    async def aclose(self, *, drain: bool = False) -> None:
        """The same in an async program."""
        ...


class HttpIncoming:
    """Reads an ``httpx2.Response`` whose body has not been read.

    The program is given the same response object with another byte stream (see `tap`), so the bytes are read here
    through a second response on the original stream, which also undoes compression.
    """

    __slots__ = ("_aiter", "_iter", "_joined", "_reading", "_source", "native", "watch")

    def __init__(self, response: Any, watch: Watch) -> None:
        """Take over the response's byte stream."""
        response = _unread(response)
        self.native: Any = response
        self.watch = watch
        self._source = type(response)(
            response.status_code,
            headers=response.headers,
            stream=response.stream,
            request=response.request,
            extensions=response.extensions,
        )
        # What somebody has taken, or closed, without keeping it cannot be had again: it would be waited for in vain.
        self._source.is_stream_consumed, self._source.is_closed = response.is_stream_consumed, response.is_closed
        self._iter: Iterator[bytes] | None = None
        self._aiter: AsyncGenerator[bytes, None] | None = None
        self._reading = False
        self._joined = _joined(response)

    def read(self) -> bytes | None:
        """The next bytes, None at the end."""
        if self._joined is not None:
            try:
                return self._joined.read()
            except Exception as error:  # noqa: BLE001 - raised again, or its translation
                self._raise(error)
        iterator = self._iter
        if iterator is None:
            iterator = self._iter = self._source.iter_bytes()
            _open.add(iterator)
        self._reading = True
        try:
            return next(iterator, None)
        except Exception as error:  # noqa: BLE001 - raised again, or its translation
            self._raise(error)
        finally:
            self._reading = False

    async def aread(self) -> bytes | None:
        """The next bytes, None at the end."""
        if self._joined is not None:
            try:
                return await self._joined.aread()
            except Exception as error:  # noqa: BLE001 - raised again, or its translation
                self._raise(error)
        iterator = self._aiter
        if iterator is None:
            iterator = self._aiter = self._source.aiter_bytes()
            _open.add(iterator)
        try:
            return await anext(iterator, None)
        except Exception as error:  # noqa: BLE001 - raised again, or its translation
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        """Raise a connection error as the SDK's own."""
        ours = translated(error, self._source.request)
        try:
            if ours is error:
                raise error
            raise ours from error
        finally:
            del ours, error  # they hold this frame

    def close(self) -> None:
        """Give the connection back."""
        if self._joined is not None:
            with contextlib.suppress(Exception):
                self._joined.close(drain=self.watch.done)
        with contextlib.suppress(Exception):
            if self._reading and self._source.http_version.startswith("HTTP/1"):
                # Another thread waits for bytes. Closing a socket wakes nobody; shutting it down does. (In HTTP/2 the
                # socket is not this stream's alone.)
                self._source.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self._source.close()
        if self._iter is not None:
            _open.discard(self._iter)

    async def aclose(self) -> None:
        """Give the connection back."""
        if self._joined is not None:
            with contextlib.suppress(Exception):
                await self._joined.aclose(drain=self.watch.done)
        elif self.watch.done:
            # What follows the end marker is the end of the body: read, and the connection can be used again.
            await self._exhaust()
        with contextlib.suppress(Exception):
            await self._source.aclose()
        if self._aiter is not None:
            # The iterator is a chain of generators, of which only the outermost can be closed from here. Reading on
            # from the closed connection ends them all, from the innermost outwards; left to the garbage collector
            # they would be finished in another context.
            await self._exhaust()
            with contextlib.suppress(Exception):
                await self._aiter.aclose()
            _open.discard(self._aiter)

    async def _exhaust(self) -> None:
        """Read what there is to read; never long, never raising."""
        if self._aiter is not None:
            with contextlib.suppress(Exception), anyio.move_on_after(_DRAIN):
                while await anext(self._aiter, None) is not None:
                    pass


def _unread(response: Any) -> Any:
    """A response whose body was read already, by a hook of the program's HTTP client, say, as one that was not."""
    if not response.is_stream_consumed or not hasattr(response, "_content"):  # it has no public sign of that
        return response
    library: Any = httpx2 if isinstance(response, httpx2.Response) else sys.modules["httpx"]
    fresh = type(response)(
        response.status_code,
        headers=[(name, value) for name, value in response.headers.raw if name.lower() != b"content-encoding"],
        stream=library.ByteStream(response.content),
        request=response.request,
        extensions=response.extensions,
        history=response.history,
        default_encoding=response.default_encoding,
    )
    with contextlib.suppress(RuntimeError):  # it did not come through a client
        fresh.elapsed = response.elapsed
    return fresh


def _joined(response: Any) -> Joins | None:
    """Where a response's bytes come from, if all that one read brings can be had from there at once."""
    if "content-encoding" in response.headers:
        return None
    # The HTTP client has put a stream of its own around the transport's, to take the time.
    stream = getattr(response.stream, "_stream", None)
    joins: Joins | None = getattr(stream, "llmstack_joins", None)
    return joins


def untranslated(error: Exception) -> Exception | None:
    """The HTTP library's own error behind a connection error; None if there is none.

    Who reads a body as bytes gets the HTTP library's errors from the SDK, not the SDK's.
    """
    cause = error.__cause__
    return cause if isinstance(cause, Exception) and translated(cause, None) is not cause else None


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
            try:
                raise piece
            finally:
                del piece  # it holds this frame
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
