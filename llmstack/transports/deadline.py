"""Deadlines below the HTTP parser: a server that drips bytes cannot outlive them.

A time-out of the HTTP client bounds each single read, so a server that sends a byte now and then holds a call for ever.
Here the time-outs of a request are numbers that also know when the whole call must be over (`Limit`). The HTTP client
carries them, unread, down to its network streams, and those are wrapped: each connect, read and write asks anew how
much time is left. Nothing is looked up by thread, task or context.

Where the network streams cannot be wrapped (a transport of the program's own) a `Limit` is the plain time-out that it
was when the request was sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import Any, Self

import httpcore2
import httpx2

__all__ = ["Limit", "Stale", "limited", "time_left", "wrap_streams"]

_PROMPT = 0.5
"""Seconds within which a connection that had been closed before the request shows it: one way there and back."""

_FINAL = httpcore2.PoolTimeout
"""Raised where there is no time left to connect: a transport that is told to try again after a failed connect does so,
and sleeps, after every other kind."""

_SLICE = 64 * 1024
"""Bytes written at once: a server that takes them slowly is noticed after each."""


class Limit(float):
    """Seconds that one network operation may take, and less if the call's deadline comes first."""

    __slots__ = ("left",)
    left: Callable[[], float]

    def __new__(cls, seconds: float | None, left: Callable[[], float]) -> Self:
        """Make a limit.

        Args:
            seconds: Seconds for each operation; None for as long as the deadline allows.
            left: Tells the seconds until the deadline.
        """
        limit = super().__new__(cls, round(max(0.001, left() if seconds is None else min(seconds, left())), 3))
        limit.left = left
        return limit


def limited(timeout: Any, left: Callable[[], float]) -> httpx2.Timeout:
    """A request's time-outs, none of which outlasts the deadline.

    Args:
        timeout: Seconds for each operation, an ``httpx2.Timeout`` with seconds for each kind, or None.
        left: Tells the seconds until the deadline.
    """
    each = httpx2.Timeout(timeout)
    return httpx2.Timeout(
        connect=Limit(each.connect, left),
        read=Limit(each.read, left),
        write=Limit(each.write, left),
        pool=Limit(each.pool, left),
    )


def time_left(timeout: Any) -> float | None:
    """Seconds until the deadline of a request with these time-outs; None if it has none."""
    limit = timeout.connect if isinstance(timeout, httpx2.Timeout) else None
    return limit.left() if isinstance(limit, Limit) else None


def _now(timeout: float | None, error: type[httpcore2.TimeoutException]) -> float | None:
    """What is left of a time-out at this moment.

    Raises:
        httpcore2.TimeoutException: If nothing is.
    """
    if type(timeout) is not Limit:
        return timeout
    left = min(timeout.real, timeout.left())
    if left <= 0:
        raise error("the deadline of the call has passed")
    return left


class Stale(Exception):  # noqa: N818 - a mark on errors of two kinds
    """Marks the error of a kept connection that the server closed before it said anything to a request on it.

    It was closed because it had been idle; the request was not looked at (RFC 9112, section 9.3.1).
    """


class _StaleRead(Stale, httpcore2.ReadError):
    pass


class _StaleEnd(Stale, httpcore2.RemoteProtocolError):
    pass


class _Line:
    """What both kinds of stream share: the stream below, and whether a request on it has been answered yet."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._unanswered = False
        self._used = False
        self._asked_at = 0.0

    def _received(self, data: bytes) -> bytes:
        if data:
            if self._unanswered:
                self._unanswered = False
                # Bytes that are no HTTP/1 (a proxy's handshake, HTTP/2, what follows a 101) say nothing of requests.
                self._used = data.startswith(b"HTTP/1.") and data[9:12] != b"101"
        elif self._is_stale():
            raise _StaleEnd("Server disconnected without sending a response.")
        return data

    def _lost(self, error: httpcore2.ReadError) -> httpcore2.ReadError:
        return _StaleRead(*error.args) if self._is_stale() else error

    def _asks(self) -> None:
        self._unanswered, self._asked_at = True, time.monotonic()

    def _is_stale(self) -> bool:
        # A server that closes later than a packet takes may have worked on the request meanwhile.
        return self._unanswered and self._used and time.monotonic() - self._asked_at < _PROMPT

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Stream(_Line, httpcore2.NetworkStream):
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._received(self._stream.read(max_bytes, _now(timeout, httpcore2.ReadTimeout)))
        except httpcore2.ReadError as error:
            raise self._lost(error) from error.__cause__

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._asks()
        for piece in _pieces(buffer, timeout):
            self._stream.write(piece, _now(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _now(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))


class _AsyncStream(_Line, httpcore2.AsyncNetworkStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the port has it
        try:
            return self._received(await self._stream.read(max_bytes, _now(timeout, httpcore2.ReadTimeout)))
        except httpcore2.ReadError as error:
            raise self._lost(error) from error.__cause__

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the port has it
        self._asks()
        for piece in _pieces(buffer, timeout):
            await self._stream.write(piece, _now(timeout, httpcore2.WriteTimeout))

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the port has it
    ) -> httpcore2.AsyncNetworkStream:
        left = _now(timeout, httpcore2.ConnectTimeout)
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, left))


def _pieces(buffer: bytes, timeout: float | None) -> Iterable[bytes]:
    if type(timeout) is not Limit or len(buffer) <= _SLICE:
        return (buffer,)
    return (buffer[start : start + _SLICE] for start in range(0, len(buffer), _SLICE))


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, backend: httpcore2.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *more: Any, **how: Any
    ) -> httpcore2.NetworkStream:
        left = _now(timeout, _FINAL)
        return _Stream(self._backend.connect_tcp(host, port, left, *more, **how))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, *more: Any, **how: Any
    ) -> httpcore2.NetworkStream:
        left = _now(timeout, _FINAL)
        return _Stream(self._backend.connect_unix_socket(path, left, *more, **how))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _AsyncBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the port has it
        *more: Any,
        **how: Any,
    ) -> httpcore2.AsyncNetworkStream:
        left = _now(timeout, _FINAL)
        return _AsyncStream(await self._backend.connect_tcp(host, port, left, *more, **how))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the port has it
        *more: Any,
        **how: Any,
    ) -> httpcore2.AsyncNetworkStream:
        left = _now(timeout, _FINAL)
        return _AsyncStream(await self._backend.connect_unix_socket(path, left, *more, **how))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


def wrap_streams(pool: Any) -> None:
    """Let the connections that a pool opens from now on obey deadlines.

    Args:
        pool: One of httpcore2; one without a network backend (a mock, an older library) is left as it is.
    """
    backend = getattr(pool, "_network_backend", None)
    if isinstance(backend, httpcore2.NetworkBackend) and not isinstance(backend, _Backend):
        pool._network_backend = _Backend(backend)  # noqa: SLF001 - it has no public place
    elif isinstance(backend, httpcore2.AsyncNetworkBackend) and not isinstance(backend, _AsyncBackend):
        pool._network_backend = _AsyncBackend(backend)  # noqa: SLF001 - the same
