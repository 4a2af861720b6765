"""Connections that are open and idle, borrowed from the pool of the SDK's HTTP client.

The pool stays the owner: it opens and closes them, and decides how many there are. Who borrows one marks it as busy and
gives it back idle. It has no public place for that, so this looks behind it; where that looks otherwise than in the
versions that we know, nothing is borrowed.
"""

# ruff: noqa: SLF001 -- see above

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import httpcore2

from llmstack._core.effects import Flow, Run

__all__ = ["KINDS", "Line", "Spare", "borrowed", "closed", "taken", "works"]

_SYNC: Any = getattr(getattr(httpcore2, "_sync", None), "http11", None)
_ASYNC: Any = getattr(getattr(httpcore2, "_async", None), "http11", None)
KINDS: Final = tuple(
    kind
    for module, name in ((_SYNC, "HTTP11Connection"), (_ASYNC, "AsyncHTTP11Connection"))
    if (kind := getattr(module, name, None)) is not None
)
"""What speaks HTTP/1.1 on a connection, in sync and in async programs."""
_STATES: Final = tuple(getattr(module, "HTTPConnectionState", None) for module in (_SYNC, _ASYNC))
_POOL: Final = (
    "_connections", "_requests", "_optional_thread_lock", "_max_keepalive_connections",
    "_assign_requests_to_connections", "_close_connections", "_http2",
)  # fmt: skip
_SWEEP: Final = 1.0
"""Seconds after which the pool may look for connections that have expired, as it does with each request of its own."""


def works(pool: Any) -> bool:
    """Whether a pool looks as it should, and leads straight to where it leads.

    Args:
        pool: The pool of one of httpx2's transports.
    """
    known = len(KINDS) == len(_STATES) and None not in _STATES and all(hasattr(pool, name) for name in _POOL)
    return known and getattr(pool, "_proxy", pool) is None


class Spare:
    """The connections of a pool that were given back, the last one first.

    Attributes:
        connections: They. Some may meanwhile be in use, or closed: the pool decides.
        swept: When the pool last looked for those that have expired, by the monotonic clock.
    """

    __slots__ = ("connections", "swept")

    def __init__(self) -> None:
        """None yet."""
        self.connections: deque[Any] = deque()
        self.swept = 0.0


class Line:
    """A borrowed connection.

    Attributes:
        stream: Its network stream.
        pool: Where it was borrowed.
        connection: The pool's own object.
        http11: What speaks HTTP on it.
    """

    __slots__ = ("_spare", "connection", "http11", "pool", "stream")

    def __init__(self, pool: Any, connection: Any, spare: Spare) -> None:
        self.pool, self.connection, self.http11 = pool, connection, connection._connection
        self.stream: Any = self.http11._network_stream
        self._spare = spare

    def give_back(self) -> Flow[None]:
        """The conversation is over, and the connection idle."""
        http11, pool, spare = self.http11, self.pool, self._spare
        now = time.monotonic()
        closing: list[Any] = []
        with pool._optional_thread_lock:
            ours = http11._state is type(http11._state).ACTIVE and self.connection in pool._connections
            if ours:  # nobody has closed the pool meanwhile
                expiry = http11._keepalive_expiry
                http11._expire_at = None if expiry is None else now + expiry
                http11._state = type(http11._state).IDLE
                spare.connections.append(self.connection)
                waiting = any(request.is_queued() for request in pool._requests)
                surplus = len(pool._connections) > pool._max_keepalive_connections
                if waiting or surplus or now - spare.swept > _SWEEP:
                    spare.swept = now
                    closing = pool._assign_requests_to_connections()
        if not ours:
            yield from self.drop()
        elif closing:
            yield from closed(pool, closing)

    def drop(self) -> Flow[None]:
        """The connection cannot be used again."""
        http11, pool = self.http11, self.pool
        with pool._optional_thread_lock:
            http11._state = type(http11._state).CLOSED
            # The pool forgets it, and those that wait for one take its place.
            closing = pool._assign_requests_to_connections()
        yield from closed(pool, [self.connection, *closing])

    def forsake(self) -> None:
        """The same where nobody can wait for it: a coroutine is destroyed."""
        flow = self.drop()
        next(flow)
        with contextlib.suppress(GeneratorExit):
            flow.throw(GeneratorExit())


def closed(pool: Any, closing: list[Any]) -> Flow[None]:
    """Close connections that the pool has let go of."""
    close: Callable[[], Any] = partial(pool._close_connections, closing)
    try:
        with contextlib.suppress(Exception):  # what cannot be closed is gone
            yield Run(close, close, shield=True)
    except GeneratorExit:
        # Nobody waits for anything any more. The first step of closing closes the socket.
        for connection in closing:
            with contextlib.suppress(Exception), contextlib.closing(connection.aclose()) as closed:
                closed.send(None)
        raise


def borrowed(pool: Any, spare: Spare, origin: httpcore2.Origin) -> Line | None:
    """Borrow an idle connection.

    Args:
        pool: Whose connections they are.
        spare: Those that were given back, which is where to look first.
        origin: Where it must lead.

    Returns:
        The connection; None if none is idle: the pool then opens one.
    """
    with contextlib.suppress(IndexError):  # none is left; another thread may have taken the last
        while True:
            connection = spare.connections.pop()
            if taken(pool, connection, origin):
                return Line(pool, connection, spare)
    for connection in list(pool._connections):
        if taken(pool, connection, origin):
            return Line(pool, connection, spare)
    return None


def taken(pool: Any, connection: Any, origin: httpcore2.Origin) -> bool:
    """Mark a connection as busy, if it is idle and leads there."""
    http11: Any = getattr(connection, "_connection", None)
    if type(http11) not in KINDS:
        return False
    idle = type(http11._state).IDLE
    if http11._state is not idle or getattr(connection, "_origin", None) != origin:
        return False
    # An async connection has no lock that can be had without waiting, and needs none: nobody else runs meanwhile.
    lock = http11._state_lock if type(http11) is KINDS[0] else contextlib.nullcontext()
    with pool._optional_thread_lock, lock:
        if http11._state is not idle or http11.has_expired() or connection not in pool._connections:
            return False
        http11._state = type(http11._state).ACTIVE
        http11._expire_at = None
    return True
