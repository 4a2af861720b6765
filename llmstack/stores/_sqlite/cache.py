"""A cache in a SQLite file, bounded by bytes; what was stored first goes first, and what has expired before that."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from llmstack.effects import Flow, monotonic, now
from llmstack.stores._sqlite.access import Access
from llmstack.stores._sqlite.pool import Connection
from llmstack.stores.cache import CacheStats, Entry

__all__ = ["SqliteCache"]

_OVERHEAD = 100
"""Bytes of a row beside its key and its value, about."""

_SWEPT = 32
"""Expired entries that each `set` removes."""

_GET = "SELECT value, stored_at, fresh_until, keep_until FROM entries WHERE key = ?"
_DELETE = "DELETE FROM entries WHERE key = ?"
_INSERT = """INSERT INTO entries (key, tenant, size, stored_at, fresh_until, keep_until, value)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_SWEEP = """DELETE FROM entries WHERE number IN
    (SELECT number FROM entries WHERE keep_until <= ? ORDER BY keep_until LIMIT ?)"""
_PURGE = "DELETE FROM entries WHERE :tenant IS NULL OR tenant = :tenant"
_OLDEST = "SELECT number, size FROM entries ORDER BY number LIMIT 64"
# One that could not have begun yet is from before the machine was started anew; an hour, since who is looking has read
# the time before it waited for its turn.
_OVER = "DELETE FROM leases WHERE ends <= :now OR ends - seconds > :now + 3600.0"
_LEASE = """INSERT INTO leases VALUES (?, ?, ?, ?) ON CONFLICT (key)
    DO UPDATE SET ends = excluded.ends, seconds = excluded.seconds WHERE owner = excluded.owner"""


class SqliteCache:
    """Keeps entries in a file of its own. May be used by any number of threads, event loops and processes.

    Args:
        access: To the file.
        max_bytes: What all entries may take; one that is larger by itself is not kept.

    Raises:
        ValueError: If that is less than 1.
    """

    def __init__(self, access: Access, max_bytes: int) -> None:
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        self._access = access
        self._max_bytes = max_bytes
        self._evicted = 0

    def get(self, keys: Sequence[str]) -> Flow[list[Entry | None]]:
        """See `llmstack.stores.CacheStore.get`."""
        time = yield from now()

        def work(connection: Connection) -> list[Entry | None]:
            return [_entry(connection.execute(_GET, (key,)).fetchone(), time) for key in keys]

        return (yield from self._access.read(work))

    def set(self, entries: Mapping[str, Entry], *, tenant: str) -> Flow[None]:
        """See `llmstack.stores.CacheStore.set`."""
        time = yield from now()

        def work(connection: Connection) -> None:
            connection.execute(_SWEEP, (time, _SWEPT))
            connection.executemany(_DELETE, [(key,) for key in entries])
            connection.executemany(_INSERT, self._rows(entries, tenant))
            self._make_room(connection)

        yield from self._access.write(work)

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See `llmstack.stores.CacheStore.delete`."""
        time = yield from now()
        unique = list(dict.fromkeys(keys))

        def work(connection: Connection) -> int:
            there = sum(_entry(connection.execute(_GET, (key,)).fetchone(), time) is not None for key in unique)
            connection.executemany(_DELETE, [(key,) for key in unique])
            return there

        return (yield from self._access.write(work))

    def purge(self, tenant: str | None = None) -> Flow[int]:
        """See `llmstack.stores.CacheStore.purge`. What is forgotten is overwritten in the file."""
        time = yield from now()

        def work(connection: Connection) -> int:
            connection.execute("PRAGMA secure_delete = ON")
            try:
                connection.execute("DELETE FROM entries WHERE keep_until <= ?", (time,))
                return connection.execute(_PURGE, {"tenant": tenant}).rowcount
            finally:
                connection.execute("PRAGMA secure_delete = FAST")

        def thoroughly(connection: Connection) -> None:
            # The log beside the file still has it, until it is emptied; if others read just now they empty it later.
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        purged = yield from self._access.write(work)
        yield from self._access.read(thoroughly)
        return purged

    def stats(self) -> Flow[CacheStats]:
        """See `llmstack.stores.CacheStore.stats`."""
        time = yield from now()
        found: tuple[int, int] = yield from self._access.read(
            lambda connection: connection.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM entries WHERE keep_until > ?", (time,)
            ).fetchone()
        )
        return CacheStats(entries=found[0], bytes=found[1], evicted=self._evicted)

    def lease(self, key: str, owner: str, seconds: float) -> Flow[bool]:
        """See `llmstack.stores.CacheStore.lease`. Time is this machine's since it was started."""
        time = yield from monotonic()

        def work(connection: Connection) -> bool:
            connection.execute(_OVER, {"now": time})
            return connection.execute(_LEASE, (key, owner, time + seconds, seconds)).rowcount == 1

        return (yield from self._access.write(work))

    def unlease(self, key: str, owner: str) -> Flow[None]:
        """See `llmstack.stores.CacheStore.unlease`."""
        statement = "DELETE FROM leases WHERE key = ? AND owner = ?"
        yield from self._access.write(lambda connection: connection.execute(statement, (key, owner)), shield=True)

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        self._access.close()

    async def aclose(self) -> None:
        """The same in an async program."""
        await self._access.aclose()

    def _rows(self, entries: Mapping[str, Entry], tenant: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for key, entry in entries.items():
            size = len(key) + len(entry.value) + _OVERHEAD
            if size <= self._max_bytes:
                rows.append(
                    (key, tenant, size, entry.stored_at, entry.fresh_until, entry.keep_until, bytes(entry.value))
                )
        return rows

    def _make_room(self, connection: Connection) -> None:
        while (over := connection.execute("SELECT bytes FROM totals").fetchone()[0] - self._max_bytes) > 0:
            dropped: list[tuple[int]] = []
            for number, size in connection.execute(_OLDEST).fetchall():
                if over <= 0:
                    break
                dropped.append((number,))
                over -= size
            if not dropped:
                return
            connection.executemany("DELETE FROM entries WHERE number = ?", dropped)
            self._evicted += len(dropped)


def _entry(row: tuple[Any, ...] | None, time: float) -> Entry | None:
    """The entry of a row; None if there is none, it has expired, or it is none of ours."""
    if row is None or not isinstance(row[0], bytes) or not all(isinstance(value, float) for value in row[1:]):
        return None
    return Entry(*row) if row[3] > time else None
