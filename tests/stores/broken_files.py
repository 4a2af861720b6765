"""Files of SQLite: looked into past the store, written whole, and broken."""

import contextlib
import sqlite3

from llmstack.effects import drive
from llmstack.stores import open_store
from llmstack.testing import FakeClock
from tests.stores.rows import row

CLOCK = FakeClock()


def connected(path):
    """A connection past the store."""
    return contextlib.closing(sqlite3.connect(path, isolation_level=None))


def written(path):
    """A healthy ledger's file, of some pages."""
    ledger = open_store(f"sqlite:///{path}").ledger()
    for i in range(50):
        drive(ledger.add(row(f"r{i}", model="m" * 200)))
    ledger.close()
    return path.read_bytes()


def no_database(path):
    path.write_bytes(b"This is a text, and not short either. " * 100)


def cut_off(path):
    path.write_bytes(path.read_bytes()[: 4096 * 2 + 100])


def overwritten(path):
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def without_tables(path):
    with connected(path) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            connection.execute(f"DROP TABLE {table}")


def of_a_newer_version(path):
    with connected(path) as connection:
        connection.execute("PRAGMA user_version = 99")
