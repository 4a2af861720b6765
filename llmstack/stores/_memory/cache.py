"""A cache in memory, bounded by bytes; what was used least recently goes first, and what has expired before that."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

import cachetools

from llmstack.effects import Flow, monotonic, now
from llmstack.stores._memory.lock import LOCK
from llmstack.stores.cache import CacheStats, Entry

__all__ = ["MemoryCache"]

_OVERHEAD = 500
"""Bytes of an entry's key and of the objects around it, about."""

_SPARE = 100
"""Ends of entries that are gone which do not matter."""


class _Kept(NamedTuple):
    entry: Entry
    tenant: str
    size: int


class _Table(cachetools.LRUCache[str, _Kept]):
    """Entries by key, and when which may be forgotten.

    cachetools has a table that knows of both. It takes twice as long to keep a hundred vectors, and eight times as long
    to say that they are not there.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, getsizeof=attrgetter("size"))
        self.evicted = 0
        self._ends: list[tuple[float, str]] = []  # a heap: when to look which entry over

    def keep(self, key: str, kept: _Kept) -> None:
        """Put an entry in; what was used least recently makes room."""
        self[key] = kept
        heapq.heappush(self._ends, (kept.entry.keep_until, key))

    def peek(self, key: str) -> _Kept | None:
        """An entry, without using it."""
        return cachetools.Cache.__getitem__(self, key) if key in self else None

    def expire(self, time: float) -> None:
        """Forget what has been kept for as long as was asked."""
        ends = self._ends
        if len(ends) > 2 * len(self) + _SPARE:  # of entries that were replaced or dropped meanwhile
            ends[:] = {end for end in ends if (kept := self.peek(end[1])) and kept.entry.keep_until == end[0]}
            heapq.heapify(ends)
        while ends and ends[0][0] <= time:
            _, key = heapq.heappop(ends)
            kept = self.peek(key)
            if kept is not None and kept.entry.keep_until <= time:
                del self[key]

    def popitem(self) -> tuple[str, _Kept]:
        """Make room."""
        self.evicted += 1
        return super().popitem()


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
            found = [table.get(key) for key in keys]
        return [kept.entry if kept is not None and time < kept.entry.keep_until else None for kept in found]

    def set(self, entries: Mapping[str, Entry], *, tenant: str) -> Flow[None]:
        """See `llmstack.stores.CacheStore.set`."""
        time = yield from now()
        table = self._table
        with LOCK:
            table.expire(time)
            for key, entry in entries.items():
                size = len(entry.value) + _OVERHEAD
                if size > table.maxsize or entry.keep_until <= time:
                    table.pop(key, None)  # what is kept there is not what was to be kept
                else:
                    table.keep(key, _Kept(entry, tenant, size))

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See `llmstack.stores.CacheStore.delete`."""
        time = yield from now()
        with LOCK:
            self._table.expire(time)
            return self._drop(keys)

    def purge(self, tenant: str | None = None) -> Flow[int]:
        """See `llmstack.stores.CacheStore.purge`."""
        time = yield from now()
        table = self._table
        with LOCK:
            table.expire(time)
            if tenant is None:
                return self._drop(list(table))
            return self._drop([key for key in table if (kept := table.peek(key)) and kept.tenant == tenant])

    def stats(self) -> Flow[CacheStats]:
        """See `llmstack.stores.CacheStore.stats`."""
        time = yield from now()
        table = self._table
        with LOCK:
            table.expire(time)
            return CacheStats(entries=len(table), bytes=int(table.currsize), evicted=table.evicted)

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

    def _drop(self, keys: Sequence[str]) -> int:
        table = self._table
        return sum(table.pop(key, None) is not None for key in keys)
