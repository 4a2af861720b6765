"""What SQLite stores do when the disk is full, may not be written, or is somebody else's just now."""

import os
import sqlite3
import subprocess
import sys

import pytest

from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import Granted, open_store
from tests.stores.broken_files import CLOCK, connected, written
from tests.stores.rows import BUCKET, entry, reservation, row


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
