"""Statistics: what became of the calls, and what the store holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from llmstack.middleware._cache.lock import LOCK
from llmstack.stores import CacheStats

__all__ = ["CacheStatistics", "Tally"]


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What became of the calls since the plugin was made, in this process; and what the store holds, for all.

    Attributes:
        hits: Calls served from the store.
        stale: Calls served what was too old, since the provider could not be asked.
        shared: Calls served the answer of another that was under way.
        misses: Calls for which the provider was asked.
        stored: Entries kept.
        failures: How often the store could not be used.
        entries: Entries that the store holds.
        bytes: Bytes they take.
        evicted: Entries that had to go for want of room; 0 where the store does not know.
    """

    hits: int = 0
    stale: int = 0
    shared: int = 0
    misses: int = 0
    stored: int = 0
    failures: int = 0
    entries: int = 0
    bytes: int = 0
    evicted: int = 0


class Tally:
    """Counts, for all threads."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._counts: Counter[str] = Counter()

    def add(self, what: str, number: int = 1) -> None:
        """Count something, by the name of a field of `CacheStatistics`."""
        with LOCK:
            self._counts[what] += number

    def read(self, held: CacheStats) -> CacheStatistics:
        """The counts so far.

        Args:
            held: What the store holds.
        """
        with LOCK:
            return CacheStatistics(**self._counts, entries=held.entries, bytes=held.bytes, evicted=held.evicted)
