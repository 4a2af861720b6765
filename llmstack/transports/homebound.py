"""HTTP clients that take no keys along when a redirect leads elsewhere.

The HTTP library takes off ``Authorization`` alone. The keys of gateways are in headers of other names, and whoever is
asked may send a client anywhere.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx2

from llmstack._core.secret import mask
from llmstack.transports._own.portable import origin, tells_who_asks

__all__ = ["Homebound", "homebound"]

for _kind in (httpx2.Client, httpx2.AsyncClient):
    if not hasattr(_kind, "_redirect_headers"):
        # Without it keys would leave unseen.
        _message = f"httpx2 {httpx2.__version__} has no {_kind.__name__}._redirect_headers: another version is needed"
        raise ImportError(_message)


class Homebound:
    """Mixed into the HTTP library's clients.

    What a redirect to another origin does not take along: headers that are named as keys are or tell the account, and
    those whose value is or holds a key.
    """

    def _redirect_headers(self, request: httpx2.Request, url: httpx2.URL, method: str) -> httpx2.Headers:
        headers: httpx2.Headers = super()._redirect_headers(request, url, method)  # type: ignore[misc]
        if _leaves(request.url, url):
            for name in [name for name, value in headers.items() if tells_who_asks(name) or mask(value) != value]:
                del headers[name]
        return headers


def _leaves(url: httpx2.URL, location: httpx2.URL) -> bool:
    """Whether a redirect leads to another origin; the same host by TLS is none, as for the HTTP library."""
    here, there = origin(url), origin(location)
    return here != there and (here, there) != (("http", url.host, 80), ("https", url.host, 443))


@cache
def homebound(kind: type[Any]) -> type[Any]:
    """A kind of HTTP client that takes no keys elsewhere.

    Args:
        kind: ``httpx2.Client``, ``httpx2.AsyncClient`` or a subclass.
    """
    return type(kind.__name__, (Homebound, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
