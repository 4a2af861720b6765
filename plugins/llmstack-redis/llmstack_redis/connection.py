"""Connections that keep a deadline: no operation waits longer than it was given, however slowly Redis drips.

redis-py's time-outs are for each read. Here each read, and each step of connecting, gets what is left of the
operation's time, which is told by thread. (On asyncio its task is cancelled instead; see `llmstack_redis.link`.)
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import threading
import time
from collections.abc import Generator
from typing import Any, TypeVar

import redis.asyncio.connection
import redis.asyncio.sentinel
import redis.connection
import redis.sentinel

__all__ = ["AsyncSentinelTLS", "AsyncTLS", "Plain", "Sentinel", "SentinelTLS", "Tls", "Unix", "within"]

S = TypeVar("S", bound=socket.socket)


class _Deadline(threading.local):
    """When the operation that this thread is at must have ended, on the monotonic clock."""

    until = math.inf


_deadline = _Deadline()


@contextlib.contextmanager
def within(until: float) -> Generator[None]:
    """Hold this thread's operations to a deadline.

    Args:
        until: When to stop waiting, on the monotonic clock.
    """
    outer, _deadline.until = _deadline.until, until
    try:
        yield
    finally:
        _deadline.until = outer


def _left() -> float | None:
    """Seconds that are left; None if there is no deadline. Raises TimeoutError if there are none."""
    if _deadline.until == math.inf:
        return None
    left = _deadline.until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _allow(sock: socket.socket) -> None:
    """Give a socket the time that is left; one that is not to wait at all stays so."""
    if sock.gettimeout() != 0 and (left := _left()) is not None:
        sock.settimeout(left)


class _Socket(socket.socket):
    __slots__ = ()  # the same layout: a socket that is open already becomes one of these

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        _allow(self)
        return super().recv(bufsize, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        _allow(self)
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        _allow(self)
        super().sendall(data, flags)

    def __del__(self) -> None:
        self.close()  # redis-py drops the nodes of a cluster that it learns of anew without closing their connections


class _TLSSocket(ssl.SSLSocket):
    __slots__ = ()

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        _allow(self)
        return super().recv(buflen, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        _allow(self)
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        _allow(self)
        super().sendall(data, flags)

    def __del__(self) -> None:
        self.close()


def _punctual(sock: S) -> S:
    # In its place: it is open, and encrypted already.
    sock.__class__ = _TLSSocket if isinstance(sock, ssl.SSLSocket) else _Socket  # type: ignore[assignment]
    return sock


class Plain(redis.connection.Connection):
    """A TCP connection."""

    def _connect(self) -> Any:
        self.socket_connect_timeout = self.socket_timeout = _left()
        return _punctual(super()._connect())  # type: ignore[no-untyped-call]


class Tls(redis.connection.SSLConnection):
    """An encrypted connection."""

    def _connect(self) -> Any:
        self.socket_connect_timeout = self.socket_timeout = _left()
        return _punctual(super()._connect())  # type: ignore[no-untyped-call]


class Unix(redis.connection.UnixDomainSocketConnection):
    """A connection by a socket file."""

    # redis-py 8 asks for them where it tells that connecting took too long; its types make of one a property.
    host: Any = ""  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    port: Any = 0

    def _connect(self) -> Any:
        self.socket_connect_timeout = self.socket_timeout = _left()
        return _punctual(super()._connect())  # type: ignore[no-untyped-call]


class _Managed(redis.sentinel.SentinelManagedConnection):
    """By itself it keeps a connection on which a reply is still to come: the next command would get that one."""

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        return super().read_response(*arguments, **{**options, "disconnect_on_error": True})


class Sentinel(_Managed, Plain):
    """A connection to the master that sentinels name."""


class SentinelTLS(_Managed, Tls):
    """The same, encrypted."""


class AsyncTLS(redis.asyncio.connection.SSLConnection):
    """An encrypted connection on asyncio. What it needs is read from files beforehand, not in the event loop."""

    def __init__(self, *, prepared: redis.asyncio.connection.RedisSSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context = prepared


class AsyncSentinelTLS(redis.asyncio.sentinel.SentinelManagedConnection, AsyncTLS):
    """The same, to the master that sentinels name."""
