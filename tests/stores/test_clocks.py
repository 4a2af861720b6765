"""Leases and windows when clocks do what clocks do."""

import pytest

from llmstack.effects import drive
from llmstack.stores import Granted, open_store
from llmstack.stores.memory import MemoryStore
from llmstack.stores.sqlite import SqliteStore
from llmstack.testing import FakeClock
from tests.stores.rows import BUCKET, entry, reservation, row

DAY = 24 * 3600.0


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """Either kind."""
    return open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/llm.db")


@pytest.fixture
def in_file(tmp_path):
    """A ledger in a file."""
    found = open_store(f"sqlite:///{tmp_path}/llm.db").ledger()
    yield found
    found.close()


def held(ledger, clock):
    """What is held."""
    [balance] = drive(ledger.spent([BUCKET]), clock=clock)
    return balance.held


@pytest.mark.parametrize("jump", [-DAY, -3600.0, 3600.0, 400 * DAY])
def test_a_wall_clock_that_jumps_ends_no_lease(ledger, jump):
    """And makes none last."""
    clock = FakeClock()
    drive(ledger.reserve(reservation("a")), clock=clock)
    jumped = FakeClock(monotonic=1059.0, time=clock.time() + jump)
    assert held(ledger, jumped) == 10
    jumped.advance(2)
    assert held(ledger, jumped) == 0


def test_nothing_is_forgotten_because_a_wall_clock_jumps(ledger):
    """Reserving does not look at it."""
    clock = FakeClock()
    drive(ledger.reserve(reservation("a", keep_until=int(clock.time()) + 100)), clock=clock)
    drive(ledger.settle("a", [10], row("a")), clock=clock)
    jumped = FakeClock(time=clock.time() + 400 * DAY)
    drive(ledger.reserve(reservation("b", 90)), clock=jumped)
    [balance] = drive(ledger.spent([BUCKET]), clock=jumped)
    assert (balance.spent, balance.held) == (10, 90)


def test_a_lease_from_before_the_machine_was_started_anew_has_ended(in_file):
    """Its end is further away than any lease is long."""
    drive(in_file.reserve(reservation("a")), clock=FakeClock(monotonic=10**6))
    assert held(in_file, FakeClock(monotonic=30.0)) == 0


def test_it_is_found_by_the_first_that_reserves(in_file, tmp_path):
    """For there is nobody yet who has asked for balances."""
    drive(in_file.reserve(reservation("a", 100)), clock=FakeClock(monotonic=10**6))
    another = open_store(f"sqlite:///{tmp_path}/llm.db").ledger()
    assert isinstance(drive(another.reserve(reservation("b", 100)), clock=FakeClock(monotonic=30.0)), Granted)
    another.close()


@pytest.mark.parametrize("late", [0.001, 5.0, 600.0])
def test_who_read_the_time_before_it_waited_ends_no_lease(in_file, tmp_path, late):
    """What was reserved meanwhile has not begun by its time."""
    drive(in_file.reserve(reservation("a")), clock=FakeClock(monotonic=5000.0))
    waited = FakeClock(monotonic=5000.0 - late)
    another = open_store(f"sqlite:///{tmp_path}/llm.db").ledger()
    drive(another.reserve(reservation("b")), clock=waited)
    assert held(another, waited) == 20
    drive(in_file.settle("a", [10], row("a")))
    another.close()


def test_ended_reservations_are_forgotten_at_last(in_file):
    """An hour after their lease; one that expired after a week, since its settlement may come late."""
    clock = FakeClock()
    drive(in_file.reserve(reservation("settled")), clock=clock)
    drive(in_file.settle("settled", [1], row("settled")), clock=clock)
    drive(in_file.release("released"), clock=clock)
    drive(in_file.reserve(reservation("expired", sent=True)), clock=clock)
    clock.advance(61)
    assert held(in_file, clock) == 0

    def known():
        drive(in_file.prune(0.0), clock=clock)
        query = "SELECT id FROM reservations ORDER BY id"
        return [key for (key,) in drive(in_file._access.read(lambda one: one.execute(query).fetchall()))]  # noqa: SLF001

    assert known() == ["expired", "released", "settled"]
    clock.advance(3600)
    assert known() == ["expired"]
    assert drive(in_file.settle("expired", [3], row("expired")), clock=clock)[0].spent == 4
    clock.advance(7 * DAY)
    assert known() == []


def test_memory_forgets_what_its_time_is_over(tmp_path):
    """By itself, and by durations: a program that runs for months must not grow."""
    ledger = open_store("memory://?rows=3").ledger()
    clock = FakeClock()
    for i in range(50):
        drive(ledger.reserve(reservation(f"r{i}", keep_until=int(clock.time()) + 100)), clock=clock)
        drive(ledger.settle(f"r{i}", [1], row(f"r{i}", at=float(i))), clock=clock)
    assert drive(ledger.spent([BUCKET]), clock=clock)[0].spent == 50
    assert [found.id for found in drive(ledger.history())] == ["r47", "r48", "r49"]
    clock.advance(101)
    drive(ledger.reserve(reservation("last", 5)), clock=clock)
    [balance] = drive(ledger.spent([BUCKET]), clock=clock)
    assert (balance.spent, balance.held) == (0, 5)


def test_a_lease_of_a_cache_does_not_outlive_its_machine(tmp_path):
    """Nor does a wall clock end it."""
    cache = open_store(f"sqlite:///{tmp_path}/llm.db").cache()
    assert drive(cache.lease("k", "one", 60.0), clock=FakeClock(monotonic=10**6))
    assert not drive(cache.lease("k", "two", 60.0), clock=FakeClock(monotonic=10**6 + 59.0, time=1e10))
    assert not drive(cache.lease("k", "two", 60.0), clock=FakeClock(monotonic=10**6 - 5.0))
    assert drive(cache.lease("k", "two", 60.0), clock=FakeClock(monotonic=30.0))
    cache.close()


@pytest.mark.parametrize("url", ["memory://?max_bytes=20000", "sqlite:///{folder}/llm.db?max_bytes=20000"])
def test_a_cache_keeps_to_its_bound(tmp_path, url):
    """What comes later stays; what is too large for it is not kept, nor what it was to replace."""
    cache = open_store(url.format(folder=tmp_path)).cache()
    clock = FakeClock()
    for i in range(30):
        drive(cache.set({f"k{i}": entry(b"x" * 2000)}, tenant=""), clock=clock)
    stats = drive(cache.stats(), clock=clock)
    assert 15_000 < stats.bytes <= 20_000
    assert stats.evicted == 30 - stats.entries
    found = drive(cache.get([f"k{i}" for i in range(30)]), clock=clock)
    assert [one is not None for one in found] == [i >= 30 - stats.entries for i in range(30)]
    drive(cache.set({"k29": entry(b"x" * 20_000), "small": entry()}, tenant=""), clock=clock)
    assert drive(cache.get(["k29", "small"]), clock=clock) == [None, entry()]
    cache.close()


def test_memory_drops_what_was_used_least_recently():
    """To be asked for is to be used."""
    cache = open_store("memory://").cache(max_bytes=8000)
    clock = FakeClock()
    for key in "abc":
        drive(cache.set({key: entry(b"x" * 2000)}, tenant=""), clock=clock)
    drive(cache.get(["a"]), clock=clock)
    drive(cache.set({"d": entry(b"x" * 2000)}, tenant=""), clock=clock)
    assert [one is not None for one in drive(cache.get(list("abcd")), clock=clock)] == [True, False, True, True]


def test_memory_drops_what_is_over_before_anything_else():
    """However lately it was asked for; and that is no want of room."""
    cache = open_store("memory://").cache(max_bytes=8000)
    clock = FakeClock()
    drive(cache.set({"a": entry(b"x" * 2000)}, tenant=""), clock=clock)
    drive(cache.set({"b": entry(b"x" * 2000, keep=10)}, tenant=""), clock=clock)
    drive(cache.set({"c": entry(b"x" * 2000)}, tenant=""), clock=clock)
    drive(cache.get(["b"]), clock=clock)
    clock.advance(11)
    drive(cache.set({"d": entry(b"x" * 2000, now=clock.time())}, tenant=""), clock=clock)
    assert [one is not None for one in drive(cache.get(list("abcd")), clock=clock)] == [True, False, True, True]
    assert drive(cache.stats(), clock=clock).evicted == 0


def test_memory_keeps_what_was_stored_anew():
    """The end of what it replaced is not its own; and what is asked about all of it uses nothing."""
    cache = open_store("memory://").cache(max_bytes=8000)
    clock = FakeClock()
    drive(cache.set({"a": entry(b"x" * 2000, keep=10)}, tenant=""), clock=clock)
    drive(cache.set({"a": entry(b"y" * 2000, keep=50), "b": entry(b"x" * 2000, keep=30)}, tenant=""), clock=clock)
    clock.advance(11)
    assert drive(cache.stats(), clock=clock).entries == 2
    drive(cache.get(["a"]), clock=clock)
    assert drive(cache.purge("nobody"), clock=clock) == 0
    drive(cache.set({key: entry(b"x" * 2000, now=clock.time()) for key in "cd"}, tenant=""), clock=clock)
    assert [one is not None for one in drive(cache.get(list("abcd")), clock=clock)] == [True, False, True, True]
    clock.advance(40)
    assert drive(cache.delete(["a"]), clock=clock) == 0


def test_memory_remembers_nothing_of_what_is_gone():
    """Neither what was replaced, nor what made room."""
    cache = MemoryStore(max_bytes=8000).cache()
    clock = FakeClock()
    for i in range(1000):
        anew = {"a": entry(now=clock.time() + i), "same": entry(), f"k{i}": entry(b"x" * 2000)}
        drive(cache.set(anew, tenant=""), clock=clock)
    assert len(cache._table._ends) < 200  # noqa: SLF001 - nothing else tells


def test_expired_entries_leave_the_file(tmp_path):
    """A few with each that is kept."""
    cache = SqliteStore(tmp_path / "llm.db").cache()
    clock = FakeClock()
    drive(cache.set({f"k{i}": entry() for i in range(100)}, tenant=""), clock=clock)
    clock.advance(101)
    count = "SELECT (SELECT count(*) FROM entries), (SELECT entries FROM totals), (SELECT bytes FROM totals)"
    for left in (69, 37, 5, 1):
        drive(cache.set({"new": entry(now=clock.time())}, tenant=""), clock=clock)
        entries, total, size = drive(cache._access.read(lambda one: one.execute(count).fetchone()))  # noqa: SLF001
        assert (entries, total) == (left, left)
    assert size == drive(cache.stats(), clock=clock).bytes
    cache.close()


@pytest.mark.parametrize("tenant", ["ann", None])
def test_what_is_purged_is_overwritten_in_the_file(tmp_path, tenant):
    """And in the log beside it."""
    cache = open_store(f"sqlite:///{tmp_path}/llm.db").cache()
    secret = b"remember-the-milk " * 2000
    drive(cache.set({"k": entry(secret, keep=10**9)}, tenant="ann"))
    cache.close()  # to read a file that SQLite has open would drop its locks
    assert any(b"remember" in path.read_bytes() for path in tmp_path.iterdir())
    assert drive(cache.purge(tenant)) == 1
    cache.close()
    assert not any(b"remember" in path.read_bytes() for path in tmp_path.iterdir())
