"""One ledger, many processes, some of which are killed or forked."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from llmstack.effects import drive
from llmstack.stores import open_store
from llmstack.testing import FakeClock
from tests.stores.worker import BUCKETS, LIMIT

WORKER = Path(__file__).with_name("worker.py")

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

pytestmark = pytest.mark.slow


@pytest.fixture
def url(tmp_path):
    """A ledger in a new file."""
    return f"sqlite:///{tmp_path}/llm.db"


def start(*arguments):
    """A worker; its answer is one line of JSON."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", WORKER, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def answer(worker):
    """What it says at its end."""
    try:
        out, _ = worker.communicate(timeout=100)
    finally:
        worker.kill()
    assert worker.returncode == 0
    return json.loads(out)


def is_whole(url):
    """SQLite's own check."""
    with contextlib.closing(sqlite3.connect(url.partition(":///")[2])) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def all_rows(ledger):
    """The history, page by page."""
    rows = []
    while page := drive(ledger.history(after=rows[-1].id if rows else "")):
        rows += page
    return rows


@FORKS
def test_eight_processes_do_not_overspend(url):
    """Sixteen threads each. Nothing is held at the end, and who was refused was refused rightly."""
    found = answer(start("hammer", url, 8, 16, 30))
    assert len(found) == 8 * 16
    assert {(one["errors"], one["wrong"], one["refused"]) for one in found} == {(0, 0, 5)}
    ledger = open_store(url).ledger()
    usd, calls = drive(ledger.spent(BUCKETS))
    rows = all_rows(ledger)
    ledger.close()
    assert usd.spent == sum(one["settled"] for one in found) == sum(row.cost for row in rows)
    assert LIMIT - 400 < usd.spent <= LIMIT  # it was used up, as far as the amounts asked for let it
    assert calls.spent == sum(one["granted"] for one in found) == len(rows)
    assert (usd.held, calls.held) == (0, 0)
    assert is_whole(url)


@FORKS
def test_killed_processes_lose_nothing_that_was_acknowledged(url):
    """Thirty of them. What they were about is given back or charged when its lease ends."""
    told = dict(line.split() for line in answer(start("die", url, 30))["told"])
    assert len({key.partition("-")[0] for key in told}) == 30
    assert is_whole(url)
    ledger = open_store(url).ledger()
    costs = {row.id: row.cost for row in all_rows(ledger)}
    assert {key: costs.get(key) for key in told} == {key: int(cost) for key, cost in told.items()}

    later = FakeClock(monotonic=_monotonic() + 61.0)
    usd, calls = drive(ledger.spent(BUCKETS), clock=later)
    rows = all_rows(ledger)
    ledger.close()
    orphans = [row for row in rows if row.outcome == "expired"]
    assert {row.cost for row in orphans} <= {0, 10}
    assert all((row.estimated == "reserved") == (row.cost == 10) for row in orphans)
    assert {row.id for row in rows} == set(costs) | {row.id for row in orphans}
    assert (usd.held, calls.held) == (0, 0)
    assert usd.spent == sum(row.cost for row in rows)
    assert len(rows) - len(told) <= 30  # at most what each was about


def _monotonic():
    from llmstack.effects import monotonic

    return drive(monotonic())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at the open files as Linux shows them")
def test_a_fork_in_the_midst_of_work_carries_no_connection_over(url):
    """The child opens its own, and parent and child lose nothing."""
    assert answer(start("fork", url, 40)) == {"failed": 0}
    assert is_whole(url)
    ledger = open_store(url).ledger()
    usd, _ = drive(ledger.spent(BUCKETS))
    rows = all_rows(ledger)
    ledger.close()
    assert sum(row.id.startswith("child-") for row in rows) == 200
    assert (usd.spent, usd.held) == (len(rows), 0)
