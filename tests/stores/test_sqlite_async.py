"""SQLite stores in async programs: the event loop never waits for the file."""

import asyncio
import contextlib
import sqlite3
import threading

import anyio
import anyio.to_thread
import pytest

from llmstack.effects import adrive, drive
from llmstack.stores import Granted
from tests.stores.rows import BUCKET, entry, reservation, row


@contextlib.asynccontextmanager
async def closing(store):
    """Its ledger, closed at the end."""
    ledger = store.ledger()
    try:
        yield ledger
    finally:
        await ledger.aclose()


@contextlib.contextmanager
def locked(path):
    """Another program writes, until it is told to stop."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield lambda: other.execute("ROLLBACK")


async def test_the_loop_goes_on_while_a_writer_waits(tmp_path, store):
    """It is the loop that ends what the writer waits for; and readers do not wait at all."""
    async with closing(store) as ledger:
        await adrive(ledger.reserve(reservation("a")))
        with locked(tmp_path / "llm.db") as let_go:
            async with anyio.create_task_group() as group:
                for key in "bcd":
                    group.start_soon(adrive, ledger.reserve(reservation(key)))
                for _ in range(5):
                    await anyio.sleep(0.001)
                    assert (await adrive(ledger.spent([BUCKET])))[0].held == 10
                let_go()
        assert (await adrive(ledger.spent([BUCKET])))[0].held == 40


async def test_it_takes_no_threads_from_the_program(store):
    """All of the program's worker threads are busy, and with something that waits for the store."""
    limiter = anyio.to_thread.current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 1
    done = threading.Event()
    try:
        async with closing(store) as ledger, anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, done.wait)
            await adrive(ledger.reserve(reservation("a")))
            assert (await adrive(ledger.spent([BUCKET])))[0].held == 10
            done.set()
    finally:
        limiter.total_tokens = before


async def test_a_sync_call_within_a_loop_is_ordinary(store):
    """It blocks, as a sync call does."""
    async with closing(store) as ledger:
        assert isinstance(drive(ledger.reserve(reservation("a"))), Granted)
        assert isinstance(await adrive(ledger.reserve(reservation("b"))), Granted)
        assert drive(ledger.spent([BUCKET])) == await adrive(ledger.spent([BUCKET]))


def test_several_loops_and_threads_share_one_ledger(store):
    """At the same time."""
    ledger = store.ledger()

    async def spend(name):
        for i in range(10):
            await adrive(ledger.reserve(reservation(f"{name}-{i}", limit=None)))
            await adrive(ledger.settle(f"{name}-{i}", [1], row(f"{name}-{i}")))

    def spend_sync(name):
        for i in range(10):
            drive(ledger.reserve(reservation(f"{name}-{i}", limit=None)))
            drive(ledger.settle(f"{name}-{i}", [1], row(f"{name}-{i}")))

    threads = [threading.Thread(target=asyncio.run, args=(spend(f"asyncio-{n}"),)) for n in range(3)]
    threads += [
        threading.Thread(target=anyio.run, args=(spend, f"trio-{n}"), kwargs={"backend": "trio"}) for n in (1, 2)
    ]
    threads += [threading.Thread(target=spend_sync, args=(f"sync-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [balance] = drive(ledger.spent([BUCKET]))
    assert (balance.spent, balance.held) == (80, 0)
    assert len(drive(ledger.history())) == 80
    ledger.close()


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_reserve_can_always_be_released(tmp_path, store, turns):
    """Whether it has happened, is happening, or never will."""
    async with closing(store) as ledger:
        await adrive(ledger.spent([]))
        with locked(tmp_path / "llm.db") if turns % 2 else contextlib.nullcontext(lambda: None) as let_go:
            async with anyio.create_task_group() as group:
                group.start_soon(adrive, ledger.reserve(reservation("a")))
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
                let_go()
        await adrive(ledger.release("a"))
        assert (await adrive(ledger.spent([BUCKET])))[0].held == 0
        await adrive(ledger.reserve(reservation("a")))  # what was sent twice comes late
        assert (await adrive(ledger.spent([BUCKET])))[0].held == 0


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancelled_settlement_is_made(tmp_path, store, turns):
    """Also if it was cancelled while it waited for its turn."""
    async with closing(store) as ledger:
        await adrive(ledger.reserve(reservation("a")))
        with locked(tmp_path / "llm.db") as let_go:
            async with anyio.create_task_group() as group:
                group.start_soon(adrive, ledger.settle("a", [7], row("a")))
                group.start_soon(adrive, ledger.add(row("b")))
                for _ in range(turns + 1):
                    await anyio.sleep(0.001)
                group.cancel_scope.cancel()
                let_go()
        [balance] = await adrive(ledger.spent([BUCKET]))
        assert (balance.spent, balance.held) == (7, 0)
        assert [found.id for found in await adrive(ledger.history())] == ["a", "b"]


async def test_a_cache_may_be_closed_and_used_again(store):
    """In the same loop."""
    cache = store.cache()
    await adrive(cache.set({"k": entry(keep=10**9)}, tenant=""))
    await cache.aclose()
    assert await adrive(cache.get(["k"])) == [entry(keep=10**9)]
    await cache.aclose()
