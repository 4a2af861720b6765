"""Usual HTTP clients: those of which nothing is unlike what the quick way does by itself."""

# ruff: noqa: SLF001 -- it looks behind the HTTP library's clients, as `lean` does

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpcore2
import httpx2

from llmstack._wire.genuine import HTTP, are_these, is_genuine
from llmstack._wire.superseded import peeled
from llmstack.transports.connection import LoopClient, ProcessClient
from llmstack.transports.direct import AsyncLeanTransport, LeanTransport
from llmstack.transports.lean import Spare
from llmstack.transports.session import session_of

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["lines_of", "takes_prepared"]

_LAYERS: tuple[tuple[type, str], ...] = (
    (httpx2.Client, "send"), (httpx2.AsyncClient, "send"),
    (httpx2.HTTPTransport, "handle_request"), (httpx2.AsyncHTTPTransport, "handle_async_request"),
    (httpcore2.ConnectionPool, "handle_request"), (httpcore2.AsyncConnectionPool, "handle_async_request"),
)  # fmt: skip
"""Where programs put something of theirs to see or to mock what is sent."""
_plain: dict[frozenset[str], list[Any]] = {}
"""The functions that were found where `_LAYERS` says and do as ever, by what may be wrapped around them."""
_BUILDING = [
    method for method in (httpx2.Client.build_request, httpx2.AsyncClient.build_request) if is_genuine(method, *HTTP)
]
_PATCHED = frozenset({"build_request", "handle_async_request", "handle_request", "send"})
"""The same on a single object."""


def lines_of(http: Any, superseded: frozenset[str] = frozenset()) -> tuple[Any, Spare] | ClientSession | None:
    """Where an HTTP client would get a connection here.

    Args:
        http: The HTTP client.
        superseded: Packages whose wrappers around its methods are passed over.

    Returns:
        Its pool, and the connections that were given back to that; or its session, if it stands on aiohttp. None if a
        request must go through the client: it is none of ours, it has been given hooks or proxies, or somebody has put
        something of theirs into the HTTP library.
    """
    present = http.present() if type(http) in (ProcessClient, LoopClient) else None
    if present is None or not _as_ever(superseded):
        return None
    # What belongs to the client as a whole is the first one's, whatever process or loop this is.
    own: dict[str, Any] = vars(http)
    transport: Any = present._transport
    if own["_auth"] is not None or own["_mounts"] or present._mounts or any(own["_event_hooks"].values()):
        return None
    if not all(_PATCHED.isdisjoint(vars(one)) for one in (http, present, transport)):
        return None
    if type(transport) not in (LeanTransport, AsyncLeanTransport):
        return session_of(transport, superseded)
    pool = transport._pool
    return (pool, transport.llmstack_spare) if _PATCHED.isdisjoint(vars(pool)) else None


def _as_ever(superseded: frozenset[str]) -> bool:
    """Whether nobody has put something of theirs into the HTTP library, but for what is superseded."""
    found = [getattr(kind, name) for kind, name in _LAYERS]
    known = _plain.get(superseded)
    if known is not None and are_these(found, known):
        return True
    if not all(is_genuine(peeled(function, superseded), *HTTP) for function in found):
        return False
    _plain[superseded] = found
    return True


def takes_prepared(http: Any) -> bool:
    """Whether a prepared request is what an HTTP client would build: it adds neither cookies nor parameters."""
    own: dict[str, Any] = vars(http)
    build: Any = getattr(type(http), "build_request", None)
    return (
        any(build is known for known in _BUILDING)
        and "build_request" not in own
        and not own["_params"]
        and not own["_cookies"].jar._cookies  # its length would take a lock and a walk
    )
