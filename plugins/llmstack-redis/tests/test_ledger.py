"""What is Redis's own in the ledger; what every ledger must do is in the conformance suite."""

import time

import pytest

from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import Balance, Bucket, Granted, Refused, Reservation
from llmstack_redis.ledger import MOST


def test_amounts_are_counted_exactly_up_to_the_largest(books):
    """Lua's numbers are not made to lie."""
    assert books.reserve("one", MOST - 1, MOST) == Granted((Balance(0, MOST - 1),))
    assert books.reserve("two", 1, MOST) == Granted((Balance(0, MOST),))
    assert books.settle("one", MOST - 2) == (Balance(MOST - 2, 1),)
    assert books.reserve("three", 2, MOST - 1) == Refused(0, Balance(MOST - 2, 1))
    assert books.reserve("four", 1, 10**30) == Granted((Balance(MOST - 2, 2),))


@pytest.mark.parametrize("limit", [None, 10**30])
def test_more_than_can_be_counted_is_refused_loudly(books, limit):
    """And nothing is counted."""
    with pytest.raises(StoreError, match="does not count exactly"):
        books.reserve("one", MOST + 1, limit)
    books.reserve("two", MOST, limit)
    with pytest.raises(StoreError, match="does not count exactly"):
        books.reserve("three", 1, limit)
    with pytest.raises(StoreError, match="does not count exactly"):
        books.settle("two", MOST + 1)
    assert books.spent() == (0, MOST)
    books.settle("two", MOST)
    assert books.spent() == (MOST, 0)


def test_a_settlement_that_cannot_be_counted_changes_nothing(books):
    """Not even in the charges that could be."""
    full = Bucket("tokens", 0)
    both = (books.charge(1, None), books.charge(1, None, bucket=full, slice=1))
    drive(books.ledger.reserve(Reservation("one", both, 60, books.record("one"))))
    rest = (books.charge(MOST - 1, None, bucket=full, slice=1),)
    drive(books.ledger.reserve(Reservation("two", rest, 60, books.record("two"))))
    with pytest.raises(StoreError, match="nothing was counted"):
        drive(books.ledger.settle("one", [5, 2], books.record("one")))
    assert drive(books.ledger.spent([books.bucket, full])) == [Balance(0, 1), Balance(0, MOST)]
    assert drive(books.ledger.history()) == []
    drive(books.ledger.settle("one", [5, 1], books.record("one")))
    assert drive(books.ledger.spent([books.bucket, full])) == [Balance(5, 0), Balance(1, MOST - 1)]


def test_many_leases_that_have_ended_are_settled_in_steps(books, server):
    """Redis is not held up by them, and neither a refusal nor a sum is told before all are."""
    for i in range(250):
        books.reserve(f"old {i}", 1, None, lease=0.001, sent=i % 2 == 1)
    time.sleep(0.02)
    assert books.reserve("full", 10, 125) == Refused(0, Balance(125, 0))
    assert books.spent() == (125, 0)
    rows = drive(books.ledger.history())
    assert [row.outcome for row in rows] == ["expired"] * 250
    assert sum(row.cost for row in rows) == 125


def test_reservations_that_have_ended_are_forgotten_after_a_week(books, server):
    """Some with each that ends."""
    books.reserve("old")
    books.settle("old", 1)
    with server.admin() as admin:
        assert admin.zscore(books.kept("ended"), "old") > (time.time() + 6 * 86400) * 1000
        admin.zadd(books.kept("ended"), {"old": 1})
        books.reserve("new")
        books.settle("new", 1)
        assert not admin.hexists(books.kept("reservations"), "rold")
    assert books.spent() == (2, 0)
    with pytest.raises(StoreError, match="'old' is not known"):
        books.settle("old", 5)


def test_rows_are_forgotten_after_the_days_that_were_asked_for(url, open_books, server):
    """By when they were written, some with each that is."""
    books = open_books(url, history_days=2)
    for i in range(8):
        drive(books.ledger.add(books.record(f"old {i}")))
    with server.admin() as admin:
        admin.zadd(books.kept("written"), {f"old {i}": (time.time() - 3 * 86400) * 1000 for i in range(8)})
        drive(books.ledger.add(books.record("new 1")))
        drive(books.ledger.add(books.record("new 2")))
        assert [row.id for row in drive(books.ledger.history())] == ["new 1", "new 2"]
        assert admin.hlen(books.kept("rows")) == 2


def test_accounts_whose_time_is_over_are_forgotten(books, server):
    """With whatever else is done; not before, and not while something is held in them."""
    past = {"slice": 5, "keep_until": books.now - 10}
    for i in range(8):
        charge = books.charge(1, None, bucket=Bucket(f"old {i}", 0), **past)
        drive(books.ledger.reserve(Reservation(f"r {i}", (charge,), 60, books.record(f"r {i}"))))
    with server.admin() as admin:
        assert admin.hlen(books.kept("accounts")) == 9
        for i in range(8):
            assert drive(books.ledger.settle(f"r {i}", [1], books.record(f"r {i}"))) == (Balance(0, 0),)
        assert admin.hlen(books.kept("accounts")) == 1
        assert admin.zcard(books.kept("times")) == 0


def test_a_rolling_window_keeps_only_what_it_counts(books, server):
    """Slices drop out one by one."""
    for i in range(100):
        charge = books.charge(1, None, slice=books.now - 100 + i, keep_until=books.now - 50 + i)
        drive(books.ledger.reserve(Reservation(f"r {i}", (charge,), 60, books.record(f"r {i}"))))
        drive(books.ledger.settle(f"r {i}", [1], books.record(f"r {i}")))
    assert 45 <= books.spent()[0] <= 50


def test_history_is_read_in_pages_of_pages(books):
    """As many rows as are asked for, whatever is fetched at once; rows of one moment by their ids."""
    for i in range(130):
        drive(books.ledger.add(books.record(f"{i:03}", at=books.now + i // 40)))
    rows = [row.id for row in drive(books.ledger.history())]
    assert rows == [f"{i:03}" for i in range(130)]
    first = drive(books.ledger.history(limit=120))
    assert len(first) == 120
    assert [row.id for row in drive(books.ledger.history(after="119", limit=120))] == rows[120:]
    assert [row.id for row in drive(books.ledger.history(since=books.now + 1, until=books.now + 2))] == rows[40:80]


def test_a_damaged_row_is_an_error(books, server):
    """A ledger never guesses."""
    drive(books.ledger.add(books.record("one")))
    for damage in (b"", b"r{", b"r[]", b'r{"id":"one"}'):
        with server.admin() as admin:
            admin.hset(books.kept("rows"), "one", damage)
        with pytest.raises(StoreError, match="a row of the history is damaged"):
            drive(books.ledger.history())


def test_prune_works_in_steps(books):
    """As many as it takes."""
    for i in range(450):
        drive(books.ledger.add(books.record(f"{i}", at=float(i))))
    assert drive(books.ledger.prune(425.0)) == 425
    assert len(drive(books.ledger.history())) == 25


def test_two_prefixes_are_two_ledgers(books, server, open_books):
    """In one Redis."""
    books.reserve("one")
    other = open_books(server.url)
    assert other.spent() == (0, 0)
    assert other.reserve("one", 100) == Granted((Balance(0, 100),))
    assert books.spent() == (0, 10)
