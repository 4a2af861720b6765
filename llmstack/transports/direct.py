"""The transports of the SDK's default HTTP clients, with a direct way to connections that are open.

What goes through them and not past them, since something must see it (hooks, tracing, raw responses, all endpoints that
are asked less often), is spared the pool and the parser at least.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final, cast

import httpcore2
import httpx2

from llmstack._core.effects import Flow
from llmstack._drivers.asynchronous import arun
from llmstack._drivers.clock import SystemClock
from llmstack._drivers.sync import run
from llmstack._wire.genuine import HTTP, are_these, is_genuine
from llmstack.transports.arriving import Arriving, Bytes
from llmstack.transports.conversation import converse, extensions
from llmstack.transports.handover import Handover, Resumed
from llmstack.transports.lean import Spare, borrowed, works
from llmstack.transports.opening import opened
from llmstack.transports.prepared import as_it_is

__all__ = ["AsyncLeanTransport", "LeanTransport", "leaned"]

_CLOCK: Final = SystemClock()
_log: Final = logging.getLogger("httpcore2.http11")
_LAYERS: Final[tuple[tuple[type, str], ...]] = (
    (httpx2.HTTPTransport, "handle_request"),
    (httpx2.AsyncHTTPTransport, "handle_async_request"),
    (httpcore2.ConnectionPool, "handle_request"),
    (httpcore2.AsyncConnectionPool, "handle_async_request"),
)
_POOL_LOCK: Final = getattr(getattr(httpcore2, "_synchronization", None), "ThreadLock", None)
"""An RLock that is entered by a function in Python. A Ctrl-C that strikes in there leaves it locked, and all calls of
all threads waiting for ever: our clients' pools have the RLock itself, which nothing can strike in."""
_USUAL: Final = [
    method if is_genuine(method, *HTTP) else None for method in (getattr(kind, name) for kind, name in _LAYERS)
]
_PATCHED: Final = frozenset(name for _, name in _LAYERS)


class LeanTransport(httpx2.HTTPTransport):
    """The SDK's transport, which can also be handed a request that was sent already."""

    llmstack_spare: Spare

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; see ``httpx2.HTTPTransport``."""
        found = Handover.take(request) or run(_answered(self._pool, self.llmstack_spare, request), _CLOCK)
        if isinstance(found, httpx2.Response):
            return found
        if found is None:
            return super().handle_request(request)
        resumed = object.__new__(httpx2.HTTPTransport)
        resumed._pool = cast("httpcore2.ConnectionPool", Resumed(found))
        return resumed.handle_request(request)


class AsyncLeanTransport(httpx2.AsyncHTTPTransport):
    """The same for async clients."""

    llmstack_spare: Spare

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; see ``httpx2.AsyncHTTPTransport``."""
        found: Any = Handover.take(request) or await arun(_answered(self._pool, self.llmstack_spare, request), _CLOCK)
        if isinstance(found, httpx2.Response):
            return found
        if found is None:
            return await super().handle_async_request(request)
        resumed = object.__new__(httpx2.AsyncHTTPTransport)
        resumed._pool = cast("httpcore2.AsyncConnectionPool", Resumed(found))
        return await resumed.handle_async_request(request)


def _answered(pool: Any, spare: Spare, request: httpx2.Request) -> Flow[httpx2.Response | Handover | None]:
    """Send a request over an idle connection, or one that is opened for it; see `swift.answered`."""
    out = as_it_is(request) if _is_usual(pool) else None
    if out is None:
        return None
    try:
        line = borrowed(pool, spare, out.kind.origin) or (yield from opened(pool, spare, out.kind.origin, out.timeouts))
    except Exception as error:  # noqa: BLE001 - the HTTP library meets it again
        return Handover(None, out, trouble=error)
    if line is None:
        return None
    found = yield from converse(line, out)
    if isinstance(found, Handover):
        return found
    head, received = found
    arriving = Arriving(line, head, received[head.after :], request.extensions["timeout"])
    return httpx2.Response(200, headers=head.fields, stream=Bytes(arriving), extensions=extensions(line.stream, head))


def _is_usual(pool: Any) -> bool:
    """Whether nobody watches or mocks what goes through the pool, or wants to hear of each step."""
    usual = are_these([getattr(kind, name) for kind, name in _LAYERS], _USUAL)
    return usual and _PATCHED.isdisjoint(vars(pool)) and not _log.isEnabledFor(logging.DEBUG)


def leaned(client: Any) -> Any:
    """Let idle connections of one of the SDK's default HTTP clients be borrowed, if it is as we know it.

    Args:
        client: The client.

    Returns:
        The same client.
    """
    transport: Any = getattr(client, "_transport", None)
    kind = {httpx2.HTTPTransport: LeanTransport, httpx2.AsyncHTTPTransport: AsyncLeanTransport}.get(type(transport))
    if kind is not None and works(transport._pool):  # noqa: SLF001 - see `lean`
        transport.__class__ = kind
        transport.llmstack_spare = Spare()
        if type(transport._pool._optional_thread_lock) is _POOL_LOCK:  # noqa: SLF001 - the same
            transport._pool._optional_thread_lock = threading.RLock()  # noqa: SLF001
    return client
