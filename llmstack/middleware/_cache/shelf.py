"""Shelf: a store that may fail. Whatever happens to it, a call goes on as if nothing were kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from llmstack.effects import Flow, monotonic
from llmstack.errors import StoreError
from llmstack.middleware._cache.statistics import Tally
from llmstack.stores import CacheStore, Entry
from llmstack.stores.memory import MemoryCache

__all__ = ["Shelf"]

T = TypeVar("T")

_log = logging.getLogger("llmstack")

_SHORTEST_REST: Final = 0.5
_LONGEST_REST: Final = 5.0
"""Seconds for which a store that has failed is not asked again, doubled if it fails again. One that hangs must not hold
up each call; one that was slow once need not be missed for long."""

_PAUSE: Final = 60.0
"""Seconds between two warnings."""


class _Rest(NamedTuple):
    until: float
    seconds: float


class Shelf:
    """Asks a store; what cannot be had is not there.

    Args:
        store: The store.
        tally: Counts its failures.
    """

    def __init__(self, store: CacheStore, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._rests: dict[str, _Rest] = {}
        self._warned: float | None = None
        self.shared = not isinstance(store, MemoryCache)
        """Whether other processes may use the same store."""
        self.writes = 0
        """Grows with each `set` here: while it has not, and nobody else writes, what was not there is not there."""

    def get(self, keys: Sequence[str]) -> Flow[list[Entry | None]]:
        """See `llmstack.stores.CacheStore.get`."""
        nothing: list[Entry | None] = [None] * len(keys)
        return self._tried("read", self._store.get(keys), nothing)

    def set(self, entries: Mapping[str, Entry], tenant: str) -> Flow[bool]:
        """See `llmstack.stores.CacheStore.set`; False if that could not be done."""
        done = yield from self._tried("write", _done(self._store.set(entries, tenant=tenant)), otherwise=False)
        self.writes += 1
        return done

    def drop(self, keys: Sequence[str]) -> Flow[int]:
        """See `llmstack.stores.CacheStore.delete`."""
        return self._tried("write", self._store.delete(keys), 0)

    def lease(self, key: str, owner: str, seconds: float) -> Flow[bool]:
        """See `llmstack.stores.CacheStore.lease`; granted if the store cannot say."""
        return self._tried("write", self._store.lease(key, owner, seconds), otherwise=True)

    def unlease(self, key: str, owner: str) -> Flow[bool]:
        """See `llmstack.stores.CacheStore.unlease`."""
        return self._tried("write", _done(self._store.unlease(key, owner)), otherwise=False)

    def _tried(self, kind: str, flow: Flow[T], otherwise: T) -> Flow[T]:
        """Do something that may fail. One that can be read may well refuse to be written, and the reverse."""
        rest = self._rests.get(kind)
        if rest is not None and (yield from monotonic()) < rest.until:
            return otherwise
        try:
            found = yield from flow
        except Exception as error:  # noqa: BLE001 - a store may be anybody's, and a call must not feel it
            now = yield from monotonic()
            self._failed(kind, rest, error, now)
            return otherwise
        if rest is not None:
            self._rests.pop(kind, None)
        return found

    def _failed(self, kind: str, last: _Rest | None, error: Exception, now: float) -> None:
        seconds = _SHORTEST_REST if last is None else min(_LONGEST_REST, 2 * last.seconds)
        self._rests[kind] = _Rest(now + seconds, seconds)
        self._tally.add("failures")
        if self._warned is None or now - self._warned >= _PAUSE:
            self._warned = now
            # A text that is not ours may quote what was being stored.
            text = f"{type(error).__name__}: {error}" if isinstance(error, StoreError) else type(error).__name__
            _log.warning("the cache's store cannot be used (%s): calls go on without; told once a minute at most", text)


def _done(flow: Flow[None]) -> Flow[bool]:
    yield from flow
    return True
