"""Connections to one file, each used by one thread at a time and by any thread in its time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from pathlib import Path
from urllib.parse import quote

from llmstack.errors import StoreError
from llmstack.stores._sqlite.gate import watch
from llmstack.stores._sqlite.place import prepare
from llmstack.stores._sqlite.schema import Schema, bring_up

__all__ = ["Connection", "Pool"]

_IDLE = 8
"""Connections that are kept open for the next."""


class Connection(sqlite3.Connection):
    """A connection that knows whose it is."""

    pid: int = 0
    generation: int = 0
    file: tuple[int, int] = (0, 0)


class Pool:
    """Connections to one file.

    Args:
        path: The file, absolute.
        schema: What is in it.
        timeout: Seconds that its user waits at most for others who write.
        synchronous: SQLite's setting, ``"normal"`` or ``"full"``.
    """

    def __init__(self, path: Path, schema: Schema, *, timeout: float, synchronous: str) -> None:
        self.path = path
        self.schema = schema
        self.timeout = timeout
        self._synchronous = synchronous
        self._generation = 0
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        watch(self)
        weakref.finalize(self, _end_all, self._idle)

    def take(self) -> Connection:
        """A connection that nobody else uses; to be given back, or closed."""
        if self._pid != os.getpid():
            self._forked()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._open()
            if connection.file == _file(self.path):
                return connection
            connection.close()  # the file was moved away, or replaced: this connection is to what it was

    def give(self, connection: Connection) -> None:
        """Here it is again."""
        with self._lock:
            if connection.generation == self._generation and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def drain(self) -> None:
        """Close the connections that nobody uses; those in use are closed when they come back."""
        if self._pid != os.getpid():
            self._forked()
        with self._lock:
            self._generation += 1
            idle = self._idle[:]
            self._idle.clear()
        _end_all(idle)

    def _open(self) -> Connection:
        prepare(self.path)
        file = _file(self.path)
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw",
            uri=True,
            timeout=0.0,  # whoever uses it waits by itself
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        try:
            connection.pid, connection.generation, connection.file = self._pid, self._generation, file
            bring_up(connection, self.schema, str(self.path))
            self._use_wal(connection)
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA secure_delete = FAST")  # what is deleted is overwritten where that is cheap
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_wal(self, connection: Connection) -> None:
        """Readers then never wait for writers. It is kept in the file, so this is done once."""
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            return
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise StoreError(f"{self.path} cannot be used in WAL mode: is it on a network disk?", store="sqlite")

    def _forked(self) -> None:
        """This is a child whose parent did not come past the gate: its connections must be neither used nor closed."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        _end_all(self._idle)


def _file(path: Path) -> tuple[int, int]:
    """Which file this path leads to."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _end_all(connections: list[Connection]) -> None:
    while connections:
        with contextlib.suppress(IndexError):
            connection = connections.pop()
            if connection.pid == os.getpid():
                connection.close()
            else:  # it is the parent's: let nobody ever close it here, not even the interpreter at its end
                import ctypes

                ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
