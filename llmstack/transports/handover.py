"""Handing a conversation over to the SDK's HTTP client: it goes on where we stopped, and knows nothing of us.

What was sent is not sent again, what was read is given to it to read, and an error that struck is raised where it would
have met it. So whatever an answer is (another status, a redirect, an early end, garbage), the SDK makes of it what it
always makes of it.
"""

# ruff: noqa: SLF001 -- it looks behind the pool, as `lean` does

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpcore2

from llmstack._core.effects import Flow
from llmstack.transports.lean import Line
from llmstack.transports.opening import entered, left, of_pool
from llmstack.transports.prepared import Outgoing

if TYPE_CHECKING:
    import httpx2

__all__ = ["Handover", "Resumed"]

_handed: ContextVar[list[Handover] | None] = ContextVar("llmstack_handover", default=None)


class Handover:
    """A request that was sent, and what has come of it. In a ``with`` block, the same request in it is this one.

    Attributes:
        taken: True once somebody goes on with it.
    """

    __slots__ = ("_token", "line", "out", "received", "taken", "trouble", "wrote")

    def __init__(
        self,
        line: Line | None,
        out: Outgoing,
        received: bytes = b"",
        trouble: Exception | None = None,
        *,
        wrote: bool = True,
    ) -> None:
        """Hand over what is known.

        Args:
            line: The connection; None if it could not be opened.
            out: What was sent on it, or would have been.
            received: Bytes that were read.
            trouble: The error that struck then.
            wrote: False if it struck while the request was being written.
        """
        self.line, self.out, self.received, self.trouble, self.wrote = line, out, received, trouble, wrote
        self.taken = False
        self._token: Any = None

    def __enter__(self) -> Self:
        """Hand it to the next request."""
        self._token = _handed.set([self])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        _handed.reset(self._token)
        self.trouble = None  # its traceback leads here

    def abandoned(self) -> Flow[None]:
        """Let go of the connection if nobody went on with it."""
        if self.line is not None and not self.taken:
            yield from self.line.drop()

    @staticmethod
    def take(request: httpx2.Request) -> Handover | None:
        """What was handed over to a request that is about to be sent; only once.

        Args:
            request: The request. If it is another than the one that was sent, nothing is.
        """
        handed = _handed.get()
        if not handed or not handed[0].out.is_like(request):
            return None
        handed[0].taken = True
        return handed.pop()


class _Told:
    """A network stream that tells what was read before, and does not say again what was said."""

    def __init__(self, handover: Handover, line: Line) -> None:
        self._http11, self._stream = line.http11, line.stream
        self._received, self._trouble, self._wrote = handover.received, handover.trouble, handover.wrote

    def _said(self) -> bool:
        """Whether what is to be written now was written before."""
        if not self._wrote:
            self._raise()
        return self._http11._network_stream is self

    def _heard(self) -> bytes:
        data, self._received = self._received, b""
        if not data and self._trouble is not None:
            self._raise()
        if self._trouble is None:
            self._http11._network_stream = self._stream
        return data

    def _raise(self) -> None:
        error, self._trouble, self._wrote = self._trouble, None, True
        if error is not None:
            try:
                raise error
            finally:
                del error

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Stream(_Told, httpcore2.NetworkStream):
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._heard() or self._stream.read(max_bytes, timeout)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self._said():
            self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()


class _AsyncStream(_Told, httpcore2.AsyncNetworkStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the port has it
        data: bytes = self._heard() or await self._stream.read(max_bytes, timeout)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the port has it
        if not self._said():
            await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()


class Resumed:
    """Stands in for the pool: what its own `handle_request` does once it has chosen a connection."""

    def __init__(self, handover: Handover) -> None:
        line = handover.line
        self._trouble = handover.trouble if line is None else None
        if line is None:
            return
        self._pool, self._connection = line.pool, line.connection
        told = _AsyncStream if hasattr(line.stream, "aclose") else _Stream
        line.http11._network_stream = told(handover, line)
        # New: so nobody else takes it, and it may send.
        line.http11._state = type(line.http11._state).NEW

    def handle_request(self, request: Any) -> Any:
        """Go on with a request."""
        entry = self._entered(request)
        try:
            response = self._connection.handle_request(request)
        except BaseException:
            self._pool._close_connections(left(self._pool, entry))
            raise
        return self._response(response, entry)

    async def handle_async_request(self, request: Any) -> Any:
        """Go on with a request."""
        entry = self._entered(request)
        try:
            response = await self._connection.handle_async_request(request)
        except BaseException:
            await self._pool._close_connections(left(self._pool, entry))
            raise
        return self._response(response, entry)

    def _entered(self, request: Any) -> Any:
        if self._trouble is not None:
            try:
                raise self._trouble
            finally:
                self._trouble = None
        return entered(self._pool, request, self._connection)

    def _response(self, response: Any, entry: Any) -> Any:
        stream = of_pool(self._pool, "PoolByteStream")(response.stream, entry, self._pool)
        return httpcore2.Response(
            response.status, headers=response.headers, content=stream, extensions=response.extensions
        )
