"""The body of an answer on its way over a borrowed connection."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NoReturn

import anyio
import httpcore2
import httpx2

from llmstack._core.effects import Flow
from llmstack._drivers.asynchronous import arun
from llmstack._drivers.clock import SystemClock
from llmstack._drivers.sync import run
from llmstack._wire.joined import pieces_of
from llmstack.transports.chunked import Chunked, MalformedError
from llmstack.transports.conversation import READ
from llmstack.transports.head import Head
from llmstack.transports.lean import Line

__all__ = ["Arriving", "Bytes"]

_CLOCK = SystemClock()

_DRAIN = 0.1
"""Seconds that the end of a body may take to arrive once its end marker has; see `HttpIncoming`."""

_GLANCE = 0.02
"""The same in a sync program: the SDK does not wait there at all."""


class Arriving:
    """Reads a body, and gives the connection back at its end. Its errors are those of the HTTP library."""

    __slots__ = ("_body", "_first", "_keeps", "_line", "_reading", "_timeouts")

    def __init__(self, line: Line, head: Head, first: bytes, timeouts: Mapping[str, Any]) -> None:
        """Take over a connection.

        Args:
            line: The connection.
            head: The head of the answer.
            first: What of the body came with the head.
            timeouts: Those of the request: what is there at a read holds for it.
        """
        self._line: Line | None = line
        self._body, self._keeps = head.body, head.keeps
        self._first = first
        self._timeouts = timeouts
        self._reading = False

    def read(self) -> bytes | None:
        """The next bytes, None at the end."""
        while (piece := self._waiting()) is not None:
            self._reading = True  # before it is asked for the stream: who closes does it the other way round
            try:
                stream = self._stream()
                data = self._received(piece or stream.read(READ, self._timeout()))
            except Exception as error:  # noqa: BLE001 - raised again, as the HTTP library's
                _raise(error)
            finally:
                self._reading = False
            if data:
                return data
        return None

    async def aread(self) -> bytes | None:
        """The next bytes, None at the end."""
        while (piece := self._waiting()) is not None:
            try:
                data = self._received(piece or await self._stream().read(READ, self._timeout()))
            except Exception as error:  # noqa: BLE001 - raised again, as the HTTP library's
                _raise(error)
            except GeneratorExit:
                self.forsake()
                raise
            if data:
                return data
        return None

    def close(self, *, drain: bool = False) -> None:
        """Give the connection back; with `drain` the end of the body is waited for, a moment at most."""
        line, self._line = self._line, None
        if line is None:
            return
        with contextlib.suppress(Exception):
            if self._reading:
                # Another thread waits for bytes. Closing a socket wakes nobody; shutting it down does.
                line.stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            elif drain and not self._body.done:
                self._received(self._first or line.stream.read(READ, _GLANCE))
        run(self._ended(line), _CLOCK)

    async def aclose(self, *, drain: bool = False) -> None:
        """Give the connection back."""
        if drain and not self._body.done and self._line is not None:
            with contextlib.suppress(Exception), anyio.move_on_after(_DRAIN):
                while await self.aread() is not None:
                    pass
        line, self._line = self._line, None
        if line is not None:
            await arun(self._ended(line), _CLOCK)

    def forsake(self) -> None:
        """Close the connection, without waiting for it."""
        line, self._line = self._line, None
        if line is not None:
            line.forsake()

    def _ended(self, line: Line) -> Flow[None]:
        reusable = self._body.done and self._keeps and not self._body.rest and not self._reading
        return line.give_back() if reusable else line.drop()

    def _waiting(self) -> bytes | None:
        """What was read with the head; None if there is nothing more to read."""
        if self._body.done or self._line is None:
            return None
        piece, self._first = self._first, b""
        return piece

    def _stream(self) -> Any:
        line = self._line
        if line is None:  # another thread has closed it just now
            raise httpcore2.ReadError
        return line.stream

    def _timeout(self) -> Any:
        return self._timeouts.get("read")

    def _received(self, data: bytes) -> bytes:
        if data:
            return self._body.feed(data)
        what = "peer closed connection without sending complete message body"
        if isinstance(self._body, Chunked):
            raise httpcore2.RemoteProtocolError(f"{what} (incomplete chunked read)")
        raise httpcore2.RemoteProtocolError(f"{what} (received {self._body.got} bytes, expected {self._body.size})")


def _raise(error: Exception) -> NoReturn:
    """Raise an error of the network as the HTTP library does; any other as it is."""
    theirs: type[Exception] | None = httpx2.RemoteProtocolError if isinstance(error, MalformedError) else None
    for kind in type(error).__mro__:
        if theirs is None and kind.__module__.startswith("httpcore2"):
            theirs = getattr(httpx2, kind.__name__, None)
    try:
        if theirs is None:
            raise error
        raise theirs(str(error)) from error
    finally:
        del error  # it holds this frame


class Bytes(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The body as the stream of a response of the HTTP library.

    Attributes:
        llmstack_joins: Where the same is read without telling its pieces apart; see `HttpIncoming`.
    """

    def __init__(self, arriving: Arriving) -> None:
        """Read from there."""
        self.llmstack_joins = self._arriving = arriving

    def __iter__(self) -> Iterator[bytes]:
        """The bytes as they come."""
        try:
            while (data := self._arriving.read()) is not None:
                yield from pieces_of(data)
        except BaseException:  # or it is left in the middle
            self.close()
            raise

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes as they come."""
        try:
            while (data := await self._arriving.aread()) is not None:
                for piece in pieces_of(data):
                    yield piece
        except GeneratorExit:
            self._arriving.forsake()
            raise
        except BaseException:
            await self.aclose()
            raise

    def close(self) -> None:
        """Give the connection back."""
        self._arriving.close()

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._arriving.aclose()
