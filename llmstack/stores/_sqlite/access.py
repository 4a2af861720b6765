"""Access: work on one file, in the calling thread of a sync program, in a worker thread of an async one."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from llmstack.effects import Flow, run
from llmstack.errors import StoreError
from llmstack.stores._sqlite.failure import busy, damaged, failed
from llmstack.stores._sqlite.gate import in_flight
from llmstack.stores._sqlite.place import quarantine
from llmstack.stores._sqlite.pool import Connection, Pool

__all__ = ["Access"]

T = TypeVar("T")
Work = Callable[[Connection], T]

_POLL = (0.0002, 0.002)
"""Seconds between two attempts to write, at least and at most."""

_READERS = 4
"""Threads that read at once, for each event loop. One writes: SQLite lets no two write at once."""


class Access:
    """Work on the file of a pool. May be used by any number of threads, event loops and processes.

    Args:
        pool: The connections.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # Threads of this process queue here, and only one of them polls the file. It knows whose it is.
        self._writing = threading.RLock()
        self._rescuing = threading.Lock()
        self._readers: RunVar[anyio.CapacityLimiter] = RunVar("llmstack.sqlite.readers")
        self._writers: RunVar[anyio.CapacityLimiter] = RunVar("llmstack.sqlite.writers")

    def read(self, work: Work[T]) -> Flow[T]:
        """Read.

        Args:
            work: Gets a connection; what it reads by one statement is of one moment.

        Raises:
            llmstack.errors.StoreError: If that cannot be done.
        """
        perform = partial(self._at_once, work)
        return run(perform, lambda: anyio.to_thread.run_sync(perform, limiter=_limiter(self._readers, _READERS)))

    def write(self, work: Work[T], *, shield: bool = False) -> Flow[T]:
        """Write, all of it or nothing.

        Args:
            work: Gets a connection in a transaction that is committed after it, or rolled back if it raises.
            shield: True if a cancellation must not keep it from being done.

        Raises:
            llmstack.errors.StoreError: If that cannot be done.
        """
        perform = partial(self._in_turn, work)
        return run(
            perform, lambda: anyio.to_thread.run_sync(perform, limiter=_limiter(self._writers, 1)), shield=shield
        )

    def close(self) -> None:
        """Close the connections; they are opened again when they are needed."""
        with in_flight():
            self._pool.drain()

    async def aclose(self) -> None:
        """The same in an async program."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.close, limiter=_limiter(self._writers, 1))

    def _in_turn(self, work: Work[T]) -> T:
        """Write when no other thread of this process does."""
        with in_flight():
            try:
                if not self._writing.acquire(timeout=self._pool.timeout):
                    why = f"{self._pool.path} was being written by other threads for too long"
                    raise StoreError(why, store="sqlite")
                return self._safely(partial(_transact, work))
            finally:
                # An interruption may have struck as it was acquired, or before: only the lock knows.
                try:  # noqa: SIM105 - that would be a call more, in which one could strike
                    self._writing.release()
                except RuntimeError:
                    pass

    def _at_once(self, work: Work[T]) -> T:
        with in_flight():
            return self._safely(work)

    def _safely(self, work: Work[T]) -> T:
        """Do it, with errors that are ours; a cache that is damaged is begun anew."""
        try:
            return self._patiently(work)
        except (sqlite3.Error, OSError, OverflowError, StoreError) as error:
            if not (self._pool.schema.disposable and damaged(error)):
                raise failed(error, str(self._pool.path)) from error
        with self._rescuing:
            return self._rescued(work)

    def _patiently(self, work: Work[T]) -> T:
        """Do it as soon as no other process writes.

        SQLite would wait by itself, but sleeps longer and longer, up to 100 ms: where many write without a pause, who
        has waited longest would wait on, for seconds. Short sleeps of different length give everybody the same chance.
        """
        until = time.monotonic() + self._pool.timeout
        while True:
            try:
                return self._once(work)
            except sqlite3.OperationalError as error:
                if not busy(error) or time.monotonic() > until:
                    raise
            time.sleep(random.uniform(*_POLL))  # noqa: S311 - nothing is secret about it

    def _once(self, work: Work[T]) -> T:
        connection = self._pool.take()
        try:
            result = work(connection)
        except BaseException as error:
            sound = busy(error) or not isinstance(error, (sqlite3.Error, KeyboardInterrupt, SystemExit))
            if sound and not connection.in_transaction:
                self._pool.give(connection)
            else:
                connection.close()
            raise
        self._pool.give(connection)
        return result

    def _rescued(self, work: Work[T]) -> T:
        path = self._pool.path
        try:
            self._pool.drain()
            try:
                return self._patiently(work)  # somebody else may have begun anew already
            except (sqlite3.Error, StoreError) as error:
                if not damaged(error):
                    raise
                self._pool.drain()
                quarantine(path, error)
            return self._patiently(work)
        except (sqlite3.Error, OSError) as error:
            raise failed(error, str(path)) from error


def _transact(work: Work[T], connection: Connection) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has rolled back by itself: a second one would fail, and its
        # error would hide the first.
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
    return result


def _limiter(kept: RunVar[anyio.CapacityLimiter], tokens: int) -> anyio.CapacityLimiter:
    """The event loop's own limiter, so that a slow disk takes no threads from the program."""
    try:
        return kept.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(tokens)
        kept.set(limiter)
        return limiter
