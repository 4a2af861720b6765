"""What of a call may travel to another place than its client points at: all but what says who asks.

The headers and query of a *client* do not travel by themselves: they are added only when it builds a request. What is
left is what was said for the single call, of which keys stay behind: they were meant for the client's own host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from llmstack._wire.sdk import names_secret

if TYPE_CHECKING:
    import httpx2

__all__ = ["Origin", "origin", "portable", "tells_who_asks"]

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
    if not any(map(tells_who_asks, named)):
        return named
    return {name: value for name, value in named.items() if not tells_who_asks(name)}


def tells_who_asks(name: str) -> bool:
    """Whether a header, or a field of a query, is named as a key is, or as what tells the account."""
    return name.lower() in _ACCOUNT or names_secret(name)


def origin(url: httpx2.URL) -> Origin:
    """Scheme, host and port: keys for one origin are for no other (RFC 6454, section 4)."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)
