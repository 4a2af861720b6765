"""What SQLite stores do when their file, or the disk, is broken."""

import contextlib
import logging
import os
import pickle
import sqlite3
import subprocess
import sys

import pytest

from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import Granted, open_store
from llmstack.stores._sqlite.schema import CACHE, LEDGER
from llmstack.testing import FakeClock
from tests.stores.rows import BUCKET, entry, reservation, row

CLOCK = FakeClock()


@pytest.fixture
def store(tmp_path):
    """A store in a new file."""
    return open_store(f"sqlite:///{tmp_path}/llm.db")


@pytest.fixture
def cache(store):
    """Its cache."""
    found = store.cache()
    yield found
    found.close()


@pytest.fixture
def ledger(store):
    """Its ledger."""
    found = store.ledger()
    yield found
    found.close()


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


@pytest.mark.parametrize("schema", [LEDGER, CACHE], ids=lambda schema: schema.what)
def test_a_file_says_what_it_is(tmp_path, cache, ledger, schema):
    """In its header."""
    drive(cache.stats())
    drive(ledger.spent([]))
    with connected(tmp_path / ("llm.db" if schema is LEDGER else "llm-cache.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (schema.application_id,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.steps),)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_older_file_is_brought_up_step_by_step(tmp_path, monkeypatch):
    """What is in it stays; who knows only the older one says so."""
    path = tmp_path / "llm.db"
    written(path)
    from dataclasses import replace

    newer = replace(LEDGER, steps=(*LEDGER.steps, ("CREATE TABLE more (x)", "INSERT INTO more VALUES (1)")))
    monkeypatch.setattr("llmstack.stores.sqlite.LEDGER", newer)
    ledger = open_store(f"sqlite:///{path}").ledger()
    assert len(drive(ledger.history())) == 50
    ledger.close()
    with connected(path) as connection:
        assert connection.execute("SELECT x FROM more").fetchall() == [(1,)]
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    """All of a step or nothing."""
    path = tmp_path / "llm.db"
    written(path)
    from dataclasses import replace

    broken = replace(LEDGER, steps=(*LEDGER.steps, ("CREATE TABLE more (x)", "INSERT INTO nowhere VALUES (1)")))
    monkeypatch.setattr("llmstack.stores.sqlite.LEDGER", broken)
    with pytest.raises(StoreError):
        drive(open_store(f"sqlite:///{path}").ledger().spent([]))
    monkeypatch.undo()
    ledger = open_store(f"sqlite:///{path}").ledger()
    assert len(drive(ledger.history())) == 50
    ledger.close()


def limit_pages(store):
    """Let the file not grow any more, as on a disk that is full."""

    def work(connection):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    drive(store._access.read(work))  # noqa: SLF001 - a store has no setting for this


def test_a_full_disk_is_the_error_that_it_is(ledger):
    """What was acknowledged stays; and when there is room again the same settlement succeeds."""
    drive(ledger.reserve(reservation("a")))
    limit_pages(ledger)
    large = row("a", cost=5, notes={"n": "x" * 200_000})
    for _ in range(2):
        with pytest.raises(StoreError, match="the disk is full") as caught:
            drive(ledger.settle("a", [5], large))
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert "full" in str(caught.value.__cause__)
        ledger.close()
        assert drive(ledger.spent([BUCKET]))[0].held == 10
        limit_pages(ledger)
    ledger.close()
    drive(ledger.settle("a", [5], large))
    [balance] = drive(ledger.spent([BUCKET]))
    assert (balance.spent, balance.held) == (5, 0)
    assert drive(ledger.history()) == [large]


def test_a_cache_on_a_full_disk_still_answers(cache):
    """It takes no more."""
    drive(cache.set({"k": entry()}, tenant=""), clock=CLOCK)
    limit_pages(cache)
    with pytest.raises(StoreError, match="the disk is full"):
        drive(cache.set({"large": entry(b"x" * 200_000)}, tenant=""), clock=CLOCK)
    assert drive(cache.get(["k", "large"]), clock=CLOCK) == [entry(), None]


LIMITED = """
import resource, sys
from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import open_store
from tests.stores.rows import BUCKET, reservation, row

ledger = open_store(sys.argv[1]).ledger()
drive(ledger.reserve(reservation("a", limit=None)))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
done = 0
try:
    for i in range(100):
        drive(ledger.reserve(reservation(f"b{i}", limit=None)))
        done += 1
except StoreError as error:
    assert "cannot be read or written" in str(error) or "full" in str(error), error
held = drive(ledger.spent([BUCKET]))[0].held
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
drive(ledger.settle("a", [3], row("a")))
[balance] = drive(ledger.spent([BUCKET]))
ledger.close()
print(done, held, balance.spent, balance.held)
"""

READ_ONLY = """
import os, sys
from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import open_store
from tests.stores.rows import BUCKET, entry

def fails(flow):
    try:
        drive(flow)
    except StoreError as error:
        return error.message

fails(open_store("sqlite:////dev/null/llm.db").ledger().spent([]))  # imports what is imported late
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
store = open_store(sys.argv[1])
for flow in (store.ledger().spent([BUCKET]), store.cache().set({"k": entry()}, tenant="")):
    print(fails(flow))
"""


def run(code, *arguments):
    """A program of its own."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_file_that_may_not_grow_loses_nothing(tmp_path):
    """A real error of the operating system in the midst of a transaction."""
    done, held, spent, left = map(int, run(LIMITED, f"sqlite:///{tmp_path}/llm.db").split())
    assert 0 < done < 100
    assert held == 10 * (done + 1)
    assert (spent, left) == (3, 10 * done)


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_may_not_be_written_is_a_clear_error(tmp_path, there):
    """With files in it, and without."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if there:
        written(folder / "llm.db")
        (folder / "llm.db").chmod(0o644)
    for parent in (folder, *tmp_path.parents[:2], tmp_path):
        parent.chmod(0o755)
    folder.chmod(0o555)
    messages = run(READ_ONLY, f"sqlite:///{folder}/llm.db").splitlines()
    folder.chmod(0o755)
    assert len(messages) == 2
    assert all(str(folder) in message for message in messages)
    assert "cannot be opened" in messages[0] or "may not be" in messages[0] or "Permission denied" in messages[0]


def test_who_waits_too_long_is_told_so(tmp_path):
    """Another program has the file to itself. Readers do not feel it."""
    store = open_store(f"sqlite:///{tmp_path}/llm.db?timeout=0.05")
    ledger, cache = store.ledger(), store.cache()
    drive(ledger.reserve(reservation("a")))
    drive(cache.set({"k": entry()}, tenant=""), clock=CLOCK)
    with connected(tmp_path / "llm.db") as other, connected(tmp_path / "llm-cache.db") as another:
        other.execute("BEGIN IMMEDIATE")
        another.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="was locked by others for too long"):
            drive(ledger.reserve(reservation("b")))
        assert drive(ledger.spent([BUCKET]))[0].held == 10
        assert drive(cache.get(["k"]), clock=CLOCK) == [entry()]
        other.execute("ROLLBACK")
        another.execute("ROLLBACK")
    assert isinstance(drive(ledger.reserve(reservation("b"))), Granted)
    ledger.close()
    cache.close()


def test_amounts_that_no_file_can_hold_are_an_error(ledger):
    """Nothing is rounded, and nothing reserved."""
    with pytest.raises(StoreError, match="too large"):
        drive(ledger.reserve(reservation("a", 2**63, limit=None)))
    drive(ledger.reserve(reservation("b", 2**62, limit=None)))
    with pytest.raises(StoreError, match="cannot be used"):
        drive(ledger.reserve(reservation("c", 2**62, limit=None)))
    assert drive(ledger.spent([BUCKET]))[0].held == 2**62
