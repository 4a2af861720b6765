"""Many processes, threads and forks, and what is left when some are killed."""

import asyncio
import gc
import multiprocessing
import os
import threading
import time
import warnings

import anyio.to_thread
import pytest

from llmstack.effects import drive
from llmstack.stores import Balance, Bucket, Charge, Granted, Record, Refused, Reservation
from llmstack_redis import open_redis

SHARED = Bucket("shared", 0)
FORK = multiprocessing.get_context("fork")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # idle worker threads of other tests live on


def cost_of(key, amount):
    """What a worker settles a reservation for."""
    return amount if int(key.rpartition("-")[2]) % 3 else amount - 1


def work(ledger, name, limit, amount, said):
    """One thread: reserve, and settle or release, until the budget is spent."""
    now, number = int(time.time()), 0
    charge = Charge(SHARED, 1, limit, amount, now + 1000)
    while True:
        number += 1
        key = f"{name}-{number}"
        row = Record(id=key, call="call", at=now, endpoint="chat.completions", reserved=amount)
        answer = drive(ledger.reserve(Reservation(key, (charge,), 5.0, row)))
        if isinstance(answer, Refused):
            if answer.balance.spent + answer.balance.held + amount <= limit:
                said(f"wrong {key}")
            if answer.balance.held == 0:
                return
            continue
        drive(ledger.mark_sent(key))
        if number % 5:
            drive(ledger.settle(key, [cost_of(key, amount)], row))
            said(key)
        else:
            drive(ledger.release(key))


class Worker:
    """A process of several such threads. It says which settlements Redis has acknowledged."""

    def __init__(self, url, name, threads, limit, amount):
        near, far = os.pipe()
        self.heard = os.fdopen(near)
        self.process = FORK.Process(target=self.run, args=(far, url, name, threads, limit, amount))
        self.process.start()
        os.close(far)

    def run(self, far, url, name, threads, *rest):
        ledger = open_redis(url).ledger()

        def said(line):
            os.write(far, f"{line}\n".encode())

        workers = [threading.Thread(target=work, args=(ledger, f"{name}-{i}", *rest, said)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        said("end")

    def end(self):
        """All that it has said."""
        lines = [line.strip() for line in self.heard]
        self.heard.close()
        self.process.join(30)
        return lines


@pytest.mark.slow
def test_eight_processes_of_sixteen_threads_overspend_nothing(own_server, open_books):
    """What is held is nothing at the end, and each refusal was true."""
    limit, amount = 20_000, 7
    books = open_books(own_server.url, prefix="hammer")
    url = f"{own_server.url}?prefix=hammer&timeout=10"  # so many on so few processors
    workers = [Worker(url, f"p{i}", 16, limit, amount) for i in range(8)]
    said = [worker.end() for worker in workers]
    assert [worker.process.exitcode for worker in workers] == [0] * 8
    assert [lines[-1] for lines in said] == ["end"] * 8
    assert [line for lines in said for line in lines if line.startswith("wrong")] == []
    settled = [line for lines in said for line in lines[:-1]]
    (balance,) = drive(books.ledger.spent([SHARED]))
    assert (balance.spent, balance.held) == (sum(cost_of(key, amount) for key in settled), 0)
    assert limit - amount < balance.spent <= limit
    assert len({key.partition("-")[0] for key in settled}) == 8


@pytest.mark.slow
def test_no_acknowledged_settlement_is_lost_when_workers_are_killed(own_server, open_books):
    """Thirty times, in the middle of whatever they do; what they held ends with its lease."""
    books = open_books(own_server.url, prefix="killed", timeout=5)
    acknowledged = set()
    for i in range(30):
        worker = Worker(f"{own_server.url}?prefix=killed&timeout=5", f"k{i}", 4, 10**9, 5)
        first = worker.heard.readline().strip()
        time.sleep(i * 0.002)
        worker.process.kill()
        acknowledged |= {first, *worker.end()}
        assert worker.process.exitcode == -9
    own_server.age("killed", 10)
    (balance,) = drive(books.ledger.spent([SHARED]))
    rows = {row.id: row for row in drive(books.ledger.history(limit=1_000_000))}
    assert len(acknowledged) > 30
    assert {key for key in acknowledged if rows[key].outcome != "ok"} == set()
    sent = sum(row.cost for row in rows.values() if row.outcome == "expired")
    settled = sum(cost_of(key, 5) for key, row in rows.items() if row.outcome == "ok")  # also what nobody lived to hear
    assert (balance.spent, balance.held) == (settled + sent, 0)


def in_a_child(work):
    """What a forked process gets of something."""
    near, far = FORK.Pipe()

    def child():
        try:
            far.send(work())
        except BaseException as error:  # noqa: BLE001 - it is told
            far.send(error)

    process = FORK.Process(target=child)
    process.start()
    found = near.recv() if near.poll(30) else None
    process.join(30)
    assert process.exitcode == 0
    near.close()
    far.close()
    return found


def test_a_forked_process_gets_connections_of_its_own(books, server):
    """And no answer ever crosses."""
    books.reserve("one")

    def number():
        return books.store._link._clients.here().opened.client.client_id()  # noqa: SLF001 - which connection

    mine = number()
    theirs = in_a_child(number)
    assert theirs != mine
    assert in_a_child(lambda: [books.spent() for _ in range(20)]) == [(0, 10)] * 20
    assert number() == mine
    assert books.spent() == (0, 10)


def test_forks_in_the_middle_of_work(books):
    """Threads of the parent hold whatever they hold."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            books.spent()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for i in range(10):
            granted = in_a_child(lambda i=i: books.reserve(f"child {i}", 1, 1000))
            assert granted == Granted((Balance(0, i + 1),))
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert books.spent() == (0, 10)


async def test_a_fork_of_an_async_program(books, server):
    """The child runs a loop of its own, and warns of nothing."""
    await books.areserve("one")

    def work():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            asyncio.run(books.areserve("two"))
            gc.collect()
        return books.spent()

    assert await anyio.to_thread.run_sync(in_a_child, work) == (0, 20)
    await books.areserve("three")
    assert (await books.areserve("three")).balances[0].held == 30


def test_many_threads_share_one_store(books, server):
    """With no more connections than they may have."""
    failed = []

    def work(i):
        try:
            for j in range(20):
                books.reserve(f"{i}-{j}", 1, None)
        except Exception as error:  # noqa: BLE001 - it is told
            failed.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert books.spent() == (0, 1000)


def test_connections_are_bounded(open_books, own_server):
    """For threads."""
    books = open_books(own_server.url, connections=3, timeout=5)
    books.spent()
    threads = [threading.Thread(target=lambda: [books.spent() for _ in range(20)]) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with own_server.admin() as admin:
        assert 1 <= len(admin.client_list()) - 1 <= 3
