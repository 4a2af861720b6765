"""Schemas: which tables a file has, and how an older file comes to have them. Forward only."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator
from dataclasses import dataclass

from llmstack.errors import StoreError
from llmstack.stores._sqlite.failure import UnfitError

__all__ = ["CACHE", "LEDGER", "Schema", "bring_up"]


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file is for.

    Attributes:
        what: In a word.
        application_id: Written into the file's header: no other program's file is touched.
        steps: From each version to the next, statements in order. A step that was released is never changed.
        disposable: True if a damaged file may be moved aside, since nothing in it is missed.
    """

    what: str
    application_id: int
    steps: tuple[tuple[str, ...], ...]
    disposable: bool = False


LEDGER = Schema(
    what="ledger",
    application_id=int.from_bytes(b"LLML", "big"),
    steps=(
        (
            """CREATE TABLE records (
                id TEXT NOT NULL PRIMARY KEY, call TEXT NOT NULL, at REAL NOT NULL, endpoint TEXT NOT NULL,
                model TEXT NOT NULL, answered_by TEXT NOT NULL, host TEXT NOT NULL, tenant TEXT NOT NULL,
                tags TEXT NOT NULL, number INTEGER NOT NULL, outcome TEXT NOT NULL, status INTEGER NOT NULL,
                request_id TEXT NOT NULL, tokens TEXT NOT NULL, cost INTEGER, saved INTEGER NOT NULL,
                reserved INTEGER NOT NULL, estimated TEXT NOT NULL, latency REAL NOT NULL, notes TEXT NOT NULL
            ) WITHOUT ROWID""",
            "CREATE INDEX records_by_time ON records (at, id)",
            """CREATE TABLE slices (
                bucket TEXT NOT NULL, slice INTEGER NOT NULL, spent INTEGER NOT NULL, held INTEGER NOT NULL,
                keep_until INTEGER NOT NULL, PRIMARY KEY (bucket, slice),
                CHECK (typeof(spent) = 'integer' AND typeof(held) = 'integer') -- a sum too large would become a float
            ) WITHOUT ROWID""",
            """CREATE TABLE reservations (
                id TEXT NOT NULL PRIMARY KEY, state INTEGER NOT NULL, ends REAL NOT NULL, lease REAL NOT NULL,
                charges TEXT NOT NULL, record TEXT NOT NULL
            ) WITHOUT ROWID""",
            "CREATE INDEX living ON reservations (ends, lease) WHERE state <= 1",
            "CREATE INDEX ended ON reservations (ends) WHERE state >= 2",
        ),
    ),
)

CACHE = Schema(
    what="cache",
    application_id=int.from_bytes(b"LLMC", "big"),
    steps=(
        (
            """CREATE TABLE entries (
                number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, size INTEGER NOT NULL,
                stored_at REAL NOT NULL, fresh_until REAL NOT NULL, keep_until REAL NOT NULL, value BLOB NOT NULL
            )""",
            "CREATE INDEX entries_by_end ON entries (keep_until)",
            "CREATE TABLE totals (entries INTEGER NOT NULL, bytes INTEGER NOT NULL)",
            "INSERT INTO totals VALUES (0, 0)",
            """CREATE TRIGGER added AFTER INSERT ON entries BEGIN
                UPDATE totals SET entries = entries + 1, bytes = bytes + new.size; END""",
            """CREATE TRIGGER removed AFTER DELETE ON entries BEGIN
                UPDATE totals SET entries = entries - 1, bytes = bytes - old.size; END""",
            """CREATE TABLE leases (
                key TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, ends REAL NOT NULL, seconds REAL NOT NULL
            ) WITHOUT ROWID""",
        ),
    ),
    disposable=True,
)


def bring_up(connection: sqlite3.Connection, schema: Schema, path: str) -> None:
    """Make a file one of this schema, if it is new or older.

    Args:
        connection: Open, in no transaction.
        schema: What it is to be.
        path: The file, for the messages.

    Raises:
        llmstack.errors.StoreError: If it is somebody else's.
        UnfitError: If it is of a newer version.
        sqlite3.Error: If it is damaged.
    """
    # In one transaction, or another process that brings it up meanwhile is seen halfway, and taken for a stranger.
    with _transaction(connection, "DEFERRED"):
        version = _version(connection, schema, path)
    if version == len(schema.steps):
        return
    with _transaction(connection, "IMMEDIATE"):
        version = _version(connection, schema, path)  # another process may have been faster
        for step in schema.steps[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {schema.application_id}")
        connection.execute(f"PRAGMA user_version = {len(schema.steps)}")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, kind: str) -> Generator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection, schema: Schema, path: str) -> int:
    identity = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if identity == schema.application_id:
        if version > len(schema.steps):
            raise UnfitError(
                f"{path} is a {schema.what} of version {version}, and this llmstack knows {len(schema.steps)}: "
                "upgrade llmstack, or name another file",
                store="sqlite",
            )
        return version
    if identity or version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(f"{path} is another database, and no {schema.what}: name another file", store="sqlite")
    return 0
