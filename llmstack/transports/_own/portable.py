"""What of a call may travel to another place than its client points at: all but what says who asks.

The headers and query of a *client* do not travel by themselves: they are added only when it builds a request. What is
left is what was said for the single call, of which keys stay behind: they were meant for the client's own host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from llmstack._wire.sdk import names_secret

if TYPE_CHECKING:
    import httpx2

__all__ = ["Origin", "homebound", "homebound_async", "origin", "portable"]

V = TypeVar("V")
Origin = tuple[str, str, int | None]

_ACCOUNT = frozenset({"cookie", "openai-organization", "openai-project"})
_PORTS = {"http": 80, "https": 443}


def portable(named: Mapping[str, V]) -> Mapping[str, V]:
    """Headers, or a query, without those that tell who asks: keys, cookies, organization and project.

    Args:
        named: Values by name.

    Returns:
        The same mapping if all of it may travel, else a copy of what may.
    """
    if not any(map(_stays, named)):
        return named
    return {name: value for name, value in named.items() if not _stays(name)}


def _stays(name: str) -> bool:
    return name.lower() in _ACCOUNT or names_secret(name)


def origin(url: httpx2.URL) -> Origin:
    """Scheme, host and port: keys for one origin are for no other (RFC 6454, section 4)."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def homebound(home: httpx2.URL) -> Callable[[httpx2.Request], None]:
    """A hook for an HTTP client that takes the keys off a request which a redirect leads to another origin.

    The HTTP client does so by itself for ``Authorization`` alone.
    """
    place = origin(home)

    def hook(request: httpx2.Request) -> None:
        if origin(request.url) != place:
            for name in [name for name in request.headers if _stays(name)]:
                del request.headers[name]

    return hook


def homebound_async(home: httpx2.URL) -> Callable[[httpx2.Request], Awaitable[Any]]:
    """The same for an async HTTP client."""
    take_off = homebound(home)

    async def hook(request: httpx2.Request) -> None:
        take_off(request)

    return hook
