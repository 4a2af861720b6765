"""HTTP clients whose connections obey deadlines."""

from __future__ import annotations

from typing import Any, TypeVar

from llmstack.transports.deadline import wrap_streams
from llmstack.transports.session import sessioned

__all__ = ["guarded"]

C = TypeVar("C")


def guarded(client: C) -> C:
    """Let an HTTP client's connections obey deadlines: those that it opens from now on, and all of aiohttp.

    The client's transports have no public place for that, so this looks behind them. What it does not find there (a
    mock, a transport of the program's own, an older library) it leaves as it is.

    Args:
        client: An ``httpx2.Client`` or ``httpx2.AsyncClient``.

    Returns:
        The same client.
    """
    own: Any = client
    for transport in (getattr(own, "_transport", None), *getattr(own, "_mounts", {}).values()):
        sessioned(transport)
        wrap_streams(getattr(transport, "_pool", None))
    return client
