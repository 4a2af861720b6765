"""A cache in memory, bounded by bytes; what was used least recently goes first, and what has expired before that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cachetools

from llmstack.effects import Flow, monotonic, now
from llmstack.stores._memory.lock import LOCK
from llmstack.stores.cache import CacheStats, Entry

__all__ = ["MemoryCache"]

_OVERHEAD = 500
"""Bytes of an entry's key and of the objects around it, about."""


class _Kept(NamedTuple):
    entry: Entry
    tenant: str


class _Table(cachetools.TLRUCache[str, _Kept]):
    """Entries by key, until the time that each says, by the clock that it is told."""

    def __init__(self, max_bytes: int) -> None:
        self.time = 0.0
        self.evicted = 0
        super().__init__(
            max_bytes,
            ttu=lambda _key, kept, _time: kept.entry.keep_until,
            timer=lambda: self.time,
            getsizeof=lambda kept: len(kept.entry.value) + _OVERHEAD,
        )

    def popitem(self) -> tuple[str, _Kept]:
        """Make room."""
        found = super().popitem()
        self.evicted += 1
        return found


class MemoryCache:
    """Keeps entries in this process. May be used by any number of threads and event loops; never does I/O."""

    def __init__(self, max_bytes: int) -> None:
        """Begin empty.

        Args:
            max_bytes: What all entries may take; one that is larger by itself is not kept.

        Raises:
            ValueError: If it is less than 1.
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        self._table = _Table(max_bytes)
        self._leases: dict[str, tuple[str, float]] = {}

    def get(self, keys: Sequence[str]) -> Flow[list[Entry | None]]:
        """See `llmstack.stores.CacheStore.get`."""
        time = yield from now()
        table = self._table
        with LOCK:
            table.time = time
            found = [table.get(key) for key in keys]
        return [kept and kept.entry for kept in found]

    def set(self, entries: Mapping[str, Entry], *, tenant: str) -> Flow[None]:
        """See `llmstack.stores.CacheStore.set`."""
        time = yield from now()
        table = self._table
        with LOCK:
            table.time = time
            for key, entry in entries.items():
                if len(entry.value) + _OVERHEAD > table.maxsize or entry.keep_until <= time:
                    table.pop(key, None)  # what is kept there is not what was to be kept
                else:
                    table[key] = _Kept(entry, tenant)

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See `llmstack.stores.CacheStore.delete`."""
        time = yield from now()
        with LOCK:
            self._table.time = time
            return self._drop(keys)

    def purge(self, tenant: str | None = None) -> Flow[int]:
        """See `llmstack.stores.CacheStore.purge`."""
        time = yield from now()
        with LOCK:
            self._expire(time)
            return self._drop([key for key, kept in self._table.items() if tenant is None or kept.tenant == tenant])

    def stats(self) -> Flow[CacheStats]:
        """See `llmstack.stores.CacheStore.stats`."""
        time = yield from now()
        with LOCK:
            self._expire(time)
            size = int(self._table.currsize)
            return CacheStats(entries=len(self._table), bytes=size, evicted=self._table.evicted)

    def lease(self, key: str, owner: str, seconds: float) -> Flow[bool]:
        """See `llmstack.stores.CacheStore.lease`."""
        time = yield from monotonic()
        leases = self._leases
        with LOCK:
            holder, end = leases.get(key, (owner, time))
            if holder != owner and end > time:
                return False
            if key not in leases:
                for ended in [other for other, (_, end) in leases.items() if end <= time]:
                    del leases[ended]
            leases[key] = (owner, time + seconds)
            return True

    def unlease(self, key: str, owner: str) -> Flow[None]:
        """See `llmstack.stores.CacheStore.unlease`."""
        with LOCK:
            if self._leases.get(key, ("", 0.0))[0] == owner:
                del self._leases[key]
        return
        yield  # a flow, as the others are

    def close(self) -> None:
        """Nothing is open; the entries stay."""

    async def aclose(self) -> None:
        """Nothing is open; the entries stay."""

    def _expire(self, time: float) -> None:
        self._table.time = time
        self._table.expire()

    def _drop(self, keys: Sequence[str]) -> int:
        missing: Any = object()
        return sum(self._table.pop(key, missing) is not missing for key in keys)
