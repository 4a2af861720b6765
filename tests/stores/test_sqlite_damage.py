"""What SQLite stores do with files that are damaged, of others, or written by somebody else."""

import logging
import pickle

import pytest

from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import open_store
from tests.stores.broken_files import (
    CLOCK,
    connected,
    cut_off,
    no_database,
    of_a_newer_version,
    overwritten,
    without_tables,
    written,
)
from tests.stores.rows import BUCKET, entry, row

DAMAGE = [no_database, cut_off, overwritten, without_tables, of_a_newer_version]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_moved_aside_and_begun_anew(tmp_path, cache, damage, caplog):
    """Warned of once. What is asked meanwhile is answered."""
    path = tmp_path / "llm-cache.db"
    drive(cache.set({f"k{i}": entry(b"x" * 2000) for i in range(20)}, tenant=""), clock=CLOCK)
    cache.close()
    damage(path)
    kept = path.read_bytes()
    assert drive(cache.get(["k1", "k19"]), clock=CLOCK) == [None, None]
    drive(cache.set({"k": entry()}, tenant=""), clock=CLOCK)
    assert drive(cache.get(["k"]), clock=CLOCK) == [entry()]
    assert (tmp_path / "llm-cache.db.damaged").read_bytes() == kept
    assert [(record.name, record.levelno) for record in caplog.records] == [("llmstack.stores", logging.WARNING)]
    assert str(path) in caplog.text


def test_a_cache_that_is_damaged_while_it_is_used_is_begun_anew(tmp_path, cache, caplog):
    """By a program that writes over it. Another process that uses it finds the new one."""
    other = open_store(f"sqlite:///{tmp_path}/llm.db").cache()
    drive(cache.set({f"k{i}": entry(b"x" * 2000) for i in range(200)}, tenant=""), clock=CLOCK)
    drive(other.stats())
    with connected(tmp_path / "llm-cache.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET rootpage = 9999 WHERE name = 'entries'")
        connection.execute("PRAGMA schema_version = 1000")
    assert drive(cache.get(["k1"]), clock=CLOCK) == [None]
    drive(cache.set({"k": entry()}, tenant=""), clock=CLOCK)
    assert drive(other.get(["k"]), clock=CLOCK) == [entry()]
    assert len(caplog.records) == 1
    other.close()


def test_only_the_last_damaged_cache_is_kept(tmp_path, cache):
    """They must not fill the disk, nor keep what was to be forgotten."""
    for text in (b"first, which is no database", b"second, which is no database either"):
        cache.close()
        (tmp_path / "llm-cache.db").write_bytes(text * 100)
        drive(cache.set({"k": entry()}, tenant=""))
    assert [path.name for path in tmp_path.glob("*damaged*")] == ["llm-cache.db.damaged"]
    assert (tmp_path / "llm-cache.db.damaged").read_bytes().startswith(b"second")


def test_a_row_that_is_none_of_ours_is_a_missing_entry(tmp_path, cache):
    """Nothing is made of it."""
    drive(cache.set({key: entry() for key in "abc"}, tenant=""), clock=CLOCK)
    with connected(tmp_path / "llm-cache.db") as connection:
        connection.execute("UPDATE entries SET value = 'text' WHERE key = 'a'")
        connection.execute("UPDATE entries SET keep_until = 'soon' WHERE key = 'b'")
    assert drive(cache.get(["a", "b", "c"]), clock=CLOCK) == [None, None, entry()]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (no_database, "is no SQLite database"),
        (cut_off, "is damaged"),
        (overwritten, "is damaged"),
        (without_tables, "does not have the tables of its version"),
        (of_a_newer_version, "is a ledger of version 99, and this llmstack knows 1: upgrade"),
    ],
)
def test_a_damaged_ledger_is_a_clear_error_and_is_not_touched(tmp_path, damage, why):
    """Whatever is asked of it."""
    path = tmp_path / "llm.db"
    written(path)
    damage(path)
    kept = path.read_bytes()
    ledger = open_store(f"sqlite:///{path}").ledger()
    for flow in (ledger.add(row("new")), ledger.history(), ledger.settle("a", [1], row("a")), ledger.prune(1e9)):
        with pytest.raises(StoreError, match=why) as caught:
            drive(flow)
        assert caught.value.store == "sqlite"
        assert str(path) in str(pickle.loads(pickle.dumps(caught.value)))
    ledger.close()
    assert path.read_bytes() == kept
    assert [found.name for found in tmp_path.iterdir() if not found.name.endswith(("-wal", "-shm"))] == ["llm.db"]


def test_the_files_of_others_are_not_touched(tmp_path, cache, ledger):
    """Neither moved aside nor written: another program's, or a ledger where a cache should be."""
    with connected(tmp_path / "llm.db") as connection:
        connection.execute("CREATE TABLE customers (name)")
    open_store(f"sqlite:///{tmp_path}/llm-cache.db").ledger()
    written(tmp_path / "llm-cache.db")
    kept = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    with pytest.raises(StoreError, match="is another database, and no ledger"):
        drive(ledger.spent([BUCKET]))
    with pytest.raises(StoreError, match="is another database, and no cache"):
        drive(cache.set({"k": entry()}, tenant=""))
    ledger.close()
    cache.close()
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == kept


def test_a_row_that_somebody_else_has_written_is_named(tmp_path, ledger):
    """The history is not guessed."""
    drive(ledger.add(row("r1", tags={"a": "b"})))
    with connected(tmp_path / "llm.db") as connection:
        connection.execute("UPDATE records SET tags = '{'")
    with pytest.raises(StoreError, match="'r1' is damaged"):
        drive(ledger.history())
