"""Connections that are opened to be borrowed: by the pool's rules, and as many as it may have."""

# ruff: noqa: SLF001 -- it looks behind the pool, as `lean` does

from __future__ import annotations

from functools import partial
from typing import Any, Final

import httpcore2

from llmstack._core.effects import Flow, Run
from llmstack.transports.lean import KINDS, Line, Spare, closed, taken

__all__ = ["entered", "left", "of_pool", "opened"]

_SPOKEN: Final = {getattr(httpcore2, kind.__name__.replace("11", ""), None): kind for kind in KINDS}
"""What speaks HTTP on the connections that a pool opens, by the class of these."""


def opened(pool: Any, spare: Spare, origin: httpcore2.Origin, timeouts: dict[str, Any]) -> Flow[Line | None]:
    """Let the pool choose a connection as for a request of its own, open it as it does, and borrow it.

    Args:
        pool: Whose connection it is.
        spare: See `borrowed`.
        origin: Where it must lead.
        timeouts: Seconds for each kind of operation.

    Returns:
        The connection; None if there is none yet (the pool is full), or it is of another kind: the pool sees to it.

    Raises:
        Exception: Why it could not be opened.
    """
    url = httpcore2.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=b"/")
    request = httpcore2.Request("POST", url, extensions={"timeout": timeouts})
    # As long as the pool knows of a request for it, nobody else gets it, and it counts.
    entry = entered(pool, request)
    try:
        with pool._optional_thread_lock:
            closing = pool._assign_requests_to_connections()
        if closing:
            yield from closed(pool, closing)
        connection = entry.connection
        kind = _SPOKEN.get(type(connection))
        if kind is None or pool._http2 or not hasattr(connection, "_connect"):
            return None
        if connection._connection is not None:
            return Line(pool, connection, spare) if taken(pool, connection, origin) else None
        connect = partial(connection._connect, request)
        try:
            stream = yield Run(connect, connect)
        except BaseException:
            connection._connect_failed = True  # the pool forgets it
            raise
        http11 = kind(origin=origin, stream=stream, keepalive_expiry=connection._keepalive_expiry)
        http11._state = type(http11._state).ACTIVE
        connection._connection = http11
        return Line(pool, connection, spare)
    finally:
        if closing := left(pool, entry):
            yield from closed(pool, closing)


def entered(pool: Any, request: Any, connection: Any = None) -> Any:
    """Let a pool know of a request, and of its connection if that is chosen."""
    entry = of_pool(pool, "PoolRequest")(request)
    entry.connection = connection
    with pool._optional_thread_lock:
        pool._requests.append(entry)
    return entry


def left(pool: Any, entry: Any) -> list[Any]:
    """Let a pool forget a request; gives the connections that are to be closed now."""
    with pool._optional_thread_lock:
        pool._requests.remove(entry)
        closing: list[Any] = pool._assign_requests_to_connections()
        return closing


def of_pool(pool: Any, name: str) -> Any:
    """A class from the module that a pool's class is from, in its sync or async form."""
    method: Any = getattr(type(pool), "handle_request", None) or type(pool).handle_async_request
    return method.__globals__.get(name) or method.__globals__[f"Async{name}"]
