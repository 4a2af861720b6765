"""A Redis that has forgotten what was spent is noticed, and is never taken for one in which nothing was."""

import asyncio
import multiprocessing
import os
import subprocess
import sys

import anyio
import pytest

import llmstack_redis
from llmstack.effects import adrive, drive
from llmstack.errors import StoreError
from llmstack.stores import Balance
from llmstack_redis import epoch

LOST = "the ledger was lost or flushed"


def in_another_process(url):
    """What a process that has seen nothing yet says of an account."""
    code = (
        "import sys; from llmstack.effects import drive; from llmstack.stores import open_store, Bucket\n"
        "try: print(drive(open_store(sys.argv[1] + '&timeout=10').ledger().spent([Bucket('usd/day', 0)])))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def everything(books):
    """All that can be asked of a ledger."""
    row = books.record("other")
    return [
        books.ledger.reserve(books.reservation("new")),
        books.ledger.mark_sent("one"),
        books.ledger.settle("one", [1], row),
        books.ledger.release("one"),
        books.ledger.add(row),
        books.ledger.spent([books.bucket]),
        books.ledger.history(),
        books.ledger.prune(0.0),
    ]


def test_a_redis_restarted_without_persistence_is_unavailable(own_server, open_books):
    """Whatever is asked; again and again; also of a store that is opened after that."""
    books = open_books(own_server.url, prefix="epoch-restart")
    books.reserve("one")
    own_server.restart()
    for _ in range(2):
        for flow in everything(books):
            with pytest.raises(StoreError, match=LOST):
                drive(flow)
    with pytest.raises(StoreError, match=LOST):
        open_books(own_server.url, prefix="epoch-restart").spent()
    with own_server.admin() as admin:
        assert admin.dbsize() == 0
    assert drive(books.cache.get(["key"])) == [None]  # a cache has forgotten nothing that matters


def test_a_redis_that_is_flushed_and_begun_by_another_is_noticed(own_server, open_books):
    """It has an epoch, but not the one that was seen."""
    books = open_books(own_server.url, prefix="epoch-flush")
    books.reserve("one")
    with own_server.admin() as admin:
        admin.flushall()
    assert "Balance(spent=0, held=0)" in in_another_process(f"{own_server.url}?prefix=epoch-flush")
    for flow in everything(books):
        with pytest.raises(StoreError, match="another one was begun"):
            drive(flow)


@pytest.mark.parametrize("key", ["accounts", "reservations", "leases"])
def test_a_part_that_was_evicted_is_noticed_by_everybody(books, url, server, key):
    """Also by a process that has seen nothing yet: what is left tells that there was more."""
    books.reserve("one")
    with server.admin() as admin:
        admin.delete(books.kept(key))
    with pytest.raises(StoreError, match=LOST):
        books.spent()
    assert LOST in in_another_process(url)


def test_a_restart_with_persistence_loses_nothing(make_server, open_books):
    """An append-only file."""
    server = make_server("--appendonly", "yes", "--appendfsync", "always")
    books = open_books(server.url, prefix="epoch-aof")
    books.reserve("one")
    books.settle("one", 7)
    books.reserve("two")
    server.restart()
    assert books.spent() == (7, 10)
    books.settle("two", 8)
    assert books.spent() == (15, 0)


def test_no_ledger_is_begun_where_none_may_be(open_books, server):
    """With ?init=no."""
    books = open_books(server.url, init="no")
    with pytest.raises(StoreError, match="none is begun"):
        books.reserve("one")
    llmstack_redis.begin(f"{server.url}?prefix={books.prefix}")
    books.reserve("one")
    assert books.spent() == (0, 10)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_lost_ledger_is_begun_anew_on_purpose(own_server, open_books, way):
    """And what is left of it goes; rows stay."""
    prefix = f"epoch-begin-{way}"
    books = open_books(own_server.url, prefix=prefix)
    books.reserve("one")
    books.settle("one", 3)
    books.reserve("two")
    with own_server.admin() as admin:
        admin.delete(books.kept("accounts"))
    with pytest.raises(StoreError, match=LOST):
        books.spent()
    url = f"{own_server.url}?prefix={prefix}"
    if way == "async":
        asyncio.run(llmstack_redis.abegin(url))
    else:
        llmstack_redis.begin(url)
    assert books.spent() == (0, 0)
    assert [row.cost for row in drive(books.ledger.history())] == [3]
    with pytest.raises(StoreError, match="'two' is not known"):
        books.settle("two", 5)


def test_to_begin_a_ledger_that_is_there_changes_nothing(books, url):
    """Only what was lost is begun anew."""
    books.reserve("one")
    llmstack_redis.begin(url)
    assert books.spent() == (0, 10)


def test_a_child_process_knows_what_its_parent_saw(own_server, open_books):
    """A server that forks its workers."""
    books = open_books(own_server.url, prefix="epoch-fork")
    books.reserve("one")
    own_server.restart()
    context = multiprocessing.get_context("fork")
    near, far = context.Pipe()

    def child():
        try:
            far.send(books.spent())
        except StoreError as error:
            far.send(str(error))

    process = context.Process(target=child)
    process.start()
    process.join(30)
    assert LOST in near.recv()


async def test_many_who_begin_at_once_begin_one(url, open_books):
    """The first one's."""
    books = open_books(url)
    async with anyio.create_task_group() as group:
        for i in range(10):
            group.start_soon(books.areserve, f"r{i}")
    assert await adrive(books.ledger.spent([books.bucket])) == [Balance(0, 100)]


def test_an_epoch_is_remembered_once():
    """By place; the first one counts until it is forgotten."""
    place = ("test", os.getpid())
    assert epoch.known(place) == ""
    assert epoch.seen(place, "a")
    assert not epoch.seen(place, "b")
    assert epoch.known(place) == "a"
    epoch.forget(place)
    assert epoch.seen(place, "b")
