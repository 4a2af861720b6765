"""What the HTTP client of a program's own adds to each request, which the SDK's client knows nothing of.

Not its cookies: a server sets some by itself, and other ones in each process.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["http_settings", "http_state"]

_USUAL: Final = frozenset({"accept", "accept-encoding", "connection", "user-agent"})
"""Headers that each HTTP client has; they change with its version, and the SDK has most of them, too."""


def http_settings(http: Any) -> tuple[tuple[Any, ...], tuple[tuple[str, str], ...]]:
    """What an HTTP client adds.

    Args:
        http: The HTTP client.

    Returns:
        What gives it keys; name and value of its headers and its query, some of which may be keys, too.
    """
    headers = [(f"http-{name}", value) for name, value in http.headers.multi_items() if name not in _USUAL]
    query = [(f"http-query-{name}", value) for name, value in http.params.multi_items()]
    return () if http.auth is None else (http.auth,), (*headers, *query)


def http_state(http: Any) -> tuple[Any, ...]:
    """What `http_settings` are made of: as long as this stays the same, so do they."""
    return http.headers.raw, http.params, http.auth
