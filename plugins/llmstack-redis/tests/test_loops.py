"""Event loops: several, cancelled ones, and trio."""

import asyncio
import contextlib
import gc
import threading
import time

import anyio
import anyio.lowlevel
import pytest
import sniffio

from llmstack.effects import adrive, drive
from llmstack.stores import Entry
from llmstack_redis import open_redis


def clients(server):
    """How many connections there are to Redis, this one left out."""
    with server.admin() as admin:
        return len(admin.client_list()) - 1


def settles_at(server, number):
    """Wait until there are so many connections: Redis hears of the end of one a little later."""
    for _ in range(250):
        if clients(server) == number:
            return
        time.sleep(0.02)
    assert clients(server) == number


def test_each_loop_has_connections_of_its_own_and_closes_them(own_server, open_books):
    """Without a word of the program, and without a warning."""
    books = open_books(own_server.url)

    async def program():
        await asyncio.gather(*(books.areserve(f"r{i}") for i in range(5)))
        assert clients(own_server) >= 1

    for _ in range(3):
        asyncio.run(program())
        settles_at(own_server, 0)
    gc.collect()


def test_loops_beside_each_other(own_server, open_books):
    """And threads beside them."""
    books = open_books(own_server.url, timeout=5)
    failed = []

    def work(i):
        async def program():
            await asyncio.gather(*(books.areserve(f"{i}-{j}", 1, None) for j in range(20)))

        try:
            if i % 2:
                asyncio.run(program())
            else:
                for j in range(20):
                    books.reserve(f"{i}-{j}", 1, None)
        except Exception as error:  # noqa: BLE001 - it is told
            failed.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert books.spent() == (0, 160)


def test_sync_work_inside_a_loop(books):
    """It blocks the loop, but works."""

    async def program():
        await books.areserve("one")
        books.reserve("two")
        return await books.areserve("three")

    assert asyncio.run(program()).balances[0].held == 30


def test_a_store_that_is_dropped_closes_its_connections(own_server, open_books):
    """By the loop that it was used in."""

    async def program():
        await adrive(open_redis(f"{own_server.url}?timeout=10").cache().get(["key"]))
        gc.collect()
        for _ in range(100):
            if not clients(own_server):
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the connection is still there")

    asyncio.run(program())


async def test_aclose_closes_what_is_open(own_server, open_books):
    """Of this loop and of threads; it may be used again."""
    books = open_books(own_server.url)
    for _ in range(2):
        await books.areserve("one")
        books.reserve("one")
        assert clients(own_server) >= 1
        await books.store.aclose()
        await books.store.aclose()
        settles_at(own_server, 0)


async def test_close_in_an_async_program_closes_soon(own_server, open_books):
    """It cannot wait."""
    books = open_books(own_server.url)
    await books.areserve("one")
    books.store.close()
    for _ in range(250):
        if not clients(own_server):
            break
        await anyio.sleep(0.02)
    assert clients(own_server) == 0


async def test_more_tasks_than_connections(own_server, open_books):
    """They wait their turn."""
    books = open_books(own_server.url, connections=3, timeout=10)
    async with anyio.create_task_group() as group:
        for i in range(100):
            group.start_soon(books.areserve, f"r{i}", 1, None)
    assert clients(own_server) <= 3
    assert books.spent() == (0, 100)


@pytest.mark.parametrize("way", ["task", "scope"])
def test_a_cancellation_at_any_moment_leaves_nothing_behind(own_server, open_books, way):
    """No connection is lost, and no reply goes to another: at the first suspension, the second, and so on."""
    books = open_books(own_server.url, connections=2, timeout=2)
    entries = {f"k{i}": Entry(str(i).encode(), 1.0, time.time() + 50, time.time() + 100) for i in range(3)}
    drive(books.cache.set(entries, tenant=""))

    async def asked(i):
        (found,) = await adrive(books.cache.get([f"k{i % 3}"]))
        assert found.value == str(i % 3).encode()

    async def cancelled_after(steps, i):
        if way == "task":
            task = asyncio.create_task(asked(i))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(asked, i)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

    async def program():
        for fresh in (True, False):
            for steps in range(40):
                if fresh:
                    await books.store.aclose()
                await cancelled_after(steps, steps)
                await asyncio.gather(*(asked(i) for i in range(4)))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert others == set()
        seat = books.store._link._clients._open.seats[asyncio.get_running_loop()]  # noqa: SLF001 - what must not leak
        assert len(seat.opened.client.connection_pool._in_use_connections) == 0  # noqa: SLF001

    asyncio.run(program())


@pytest.mark.parametrize("steps", range(8))
def test_a_settlement_is_not_cancelled(books, steps):
    """The money was spent."""
    books.reserve("one")

    async def program():
        task = asyncio.create_task(books.asettle("one", 7))
        for _ in range(steps + 1):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(program())
    assert books.spent() == (7, 0)


async def test_trio_is_served_by_threads(books):
    """redis-py does not know it; asyncio has its own client."""
    await books.areserve("one")
    served = books.store._link._clients._open.seat is not None  # noqa: SLF001 - which client it is
    assert served == (sniffio.current_async_library() == "trio")
