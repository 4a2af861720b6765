"""Memory: a store that lasts as long as its process. ``memory://``."""

from __future__ import annotations

from urllib.parse import urlsplit

from llmstack.stores._memory.cache import MemoryCache
from llmstack.stores._memory.ledger import MemoryLedger
from llmstack.stores._url import positive, query

__all__ = ["MemoryCache", "MemoryLedger", "MemoryStore", "open_memory"]

MAX_BYTES = 64_000_000
"""Bytes that a cache takes at most."""

ROWS = 10_000
"""Rows of history that a ledger keeps at most."""


class MemoryStore:
    """A cache and a ledger in this process's memory, for its threads and event loops.

    Args:
        max_bytes: What the cache may take, in bytes, where it is not told otherwise.
        rows: How many rows of history the ledger keeps; the oldest go first.

    Raises:
        ValueError: If one of them is less than 1.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES, rows: int = ROWS) -> None:
        if max_bytes < 1 or rows < 1:
            raise ValueError(f"max_bytes and rows must be at least 1, not {max_bytes} and {rows}")
        self._max_bytes = max_bytes
        self._ledger = MemoryLedger(rows)
        self._caches: dict[int, MemoryCache] = {}

    def cache(self, *, max_bytes: int | None = None) -> MemoryCache:
        """The cache; the same one for the same bound."""
        bound = self._max_bytes if max_bytes is None else max_bytes
        return self._caches.setdefault(bound, MemoryCache(bound))

    def ledger(self) -> MemoryLedger:
        """The ledger; always the same one."""
        return self._ledger


def open_memory(url: str) -> MemoryStore:
    """The store of a ``memory://`` URL: a new one each time.

    Args:
        url: ``"memory://"``, perhaps with ``?max_bytes=`` or ``?rows=``.

    Raises:
        ValueError: If it says anything else.
    """
    parts = urlsplit(url)
    if parts.netloc or parts.path.strip("/"):
        raise ValueError("nothing is named behind memory://, only options, such as memory://?max_bytes=1000000")
    return MemoryStore(**query(parts.query, {"max_bytes": positive, "rows": positive}))
