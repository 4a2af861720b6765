"""The port behind a cache: where entries are kept.

Every operation is a flow, as a layer is: ``entry = yield from store.get([key])``. What does I/O leaves it as
`llmstack.effects.run`, so that one body serves sync and async programs. Outside of a call `llmstack.effects.drive`
runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from llmstack._core.effects import Flow

__all__ = ["CacheStats", "CacheStore", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept answer.

    Attributes:
        value: JSON text, as bytes. What comes back from a store is checked like any input.
        stored_at: When it was stored, seconds since the epoch.
        fresh_until: Until when it may be served, seconds since the epoch.
        keep_until: When the store may forget it, seconds since the epoch; later than `fresh_until` if a stale entry may
            be served when the provider fails.
    """

    value: bytes = field(repr=False)
    stored_at: float
    fresh_until: float
    keep_until: float


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a store holds.

    Attributes:
        entries: How many entries.
        bytes: How much they take, keys included.
        evicted: How many were dropped for want of room since the store was opened; 0 where that is not known.
    """

    entries: int
    bytes: int
    evicted: int = 0


@runtime_checkable
class CacheStore(Protocol):
    """Keeps entries by key. Keys are ASCII of at most 200 characters, and are unique over all tenants.

    Raises `llmstack.errors.StoreError` for whatever goes wrong; a damaged or foreign entry is a missing one.
    """

    def get(self, keys: Sequence[str]) -> Flow[list[Entry | None]]:
        """The entries of these keys, in order; None for those that are not there, or no longer."""
        ...

    def set(self, entries: Mapping[str, Entry], *, tenant: str) -> Flow[None]:
        """Keep entries, in the place of those that have their keys.

        Args:
            entries: By key.
            tenant: On whose behalf, for `purge`; empty if on nobody's.
        """
        ...

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """Forget entries; returns how many there were."""
        ...

    def purge(self, tenant: str | None = None) -> Flow[int]:
        """Forget all entries of a tenant, or of everybody (None); returns how many there were."""
        ...

    def stats(self) -> Flow[CacheStats]:
        """What the store holds."""
        ...

    def lease(self, key: str, owner: str, seconds: float) -> Flow[bool]:
        """Take the lease of a key, so that one process asks for all; the owner renews it by taking it again.

        Args:
            key: What is being asked for.
            owner: Who takes it; another name for each taker.
            seconds: When it ends by itself.

        Returns:
            False if another has it.
        """
        ...

    def unlease(self, key: str, owner: str) -> Flow[None]:
        """Give the lease back; nothing happens if it is another's."""
        ...

    def close(self) -> None:
        """Give back what is open. May be called again; a store that is used afterwards opens anew."""
        ...

    async def aclose(self) -> None:
        """The same in an async program."""
        ...
