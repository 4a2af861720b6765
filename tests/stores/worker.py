"""What other processes do to a ledger in the tests: `python worker.py MODE URL ...`; it prints one line of JSON."""

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from llmstack.effects import drive
from llmstack.stores import Bucket, Charge, Granted, Record, Reservation, open_store

LIMIT = 1_000_000
BUCKETS = (Bucket("usd", 0), Bucket("calls", 0))


def reservation(key, amount, *, limit: int | None = LIMIT):
    """In two buckets."""
    charges = (
        Charge(BUCKETS[0], 0, limit, amount, 10**11),
        Charge(BUCKETS[1], 0, None, 1, 10**11),
    )
    return Reservation(key, charges, 60.0, row(key, reserved=amount))


def row(key, **more):
    """A row."""
    return Record(id=key, call="c", at=time.time(), endpoint="chat.completions", **more)


class Client:
    """One thread that spends as fast as it can, until the budget is used up or time is over."""

    def __init__(self, ledger, name, until):
        self.ledger, self.name, self.until = ledger, name, until
        self.chance = random.Random(name)
        self.found = {"settled": 0, "granted": 0, "refused": 0, "wrong": 0, "errors": 0}

    def run(self):
        i = 0
        while self.found["refused"] < 5 and time.monotonic() < self.until:
            i += 1
            try:
                self.spend(f"{self.name}-{i}", self.chance.randint(1, 400))
            except Exception:
                self.found["errors"] += 1
                raise

    def spend(self, key, amount):
        outcome = drive(self.ledger.reserve(reservation(key, amount)))
        if not isinstance(outcome, Granted):
            self.found["refused"] += 1
            balance = outcome.balance
            self.found["wrong"] += outcome.charge != 0 or balance.spent + balance.held + amount <= LIMIT
            return
        balance = outcome.balances[0]
        self.found["wrong"] += balance.spent + balance.held > LIMIT
        drive(self.ledger.mark_sent(key))
        if self.chance.random() < 0.1:
            drive(self.ledger.release(key))
            return
        paid = self.chance.randint(0, amount)
        drive(self.ledger.settle(key, [paid, 1], row(key, cost=paid)))
        self.found["settled"] += paid
        self.found["granted"] += 1


def hammer(url, processes, threads, seconds):
    """Many processes of many threads, which begin at the same time."""
    ledger = open_store(url).ledger()
    drive(ledger.spent([]))  # so that a connection is open before the fork
    until = time.monotonic() + float(seconds)
    children = [_child(ledger, n, int(threads), until) for n in range(int(processes))]
    found = []
    for pid, answer in children:
        with os.fdopen(answer) as lines:
            found += json.loads(lines.read())
        os.waitpid(pid, 0)
    ledger.close()
    return found


def _child(ledger, n, threads, until):
    mine, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(theirs)
        return pid, mine
    try:
        clients = [Client(ledger, f"{n}-{i}", until) for i in range(threads)]
        workers = [threading.Thread(target=client.run) for client in clients]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        ledger.close()
        os.write(theirs, json.dumps([client.found for client in clients]).encode())
    finally:
        os._exit(0)


def die(url, times):
    """Fork children that reserve and settle, and kill each in the midst of it; what they were told counts."""
    ledger = open_store(url).ledger()
    drive(ledger.spent([]))  # so that a connection is open before the fork
    chance = random.Random(7)
    told = []
    for n in range(int(times)):
        mine, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(mine)
            _live(ledger, n, theirs)
        os.close(theirs)
        with os.fdopen(mine, "rb", buffering=0) as lines:
            received, wanted = b"", chance.randint(1, 40)
            while received.count(b"\n") < wanted:
                received += lines.read(1000)
            time.sleep(chance.random() * 0.002)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            received += lines.read()
        told += received.decode().splitlines()
    ledger.close()
    return {"told": told}


def _live(ledger, n, pipe):
    i = 0
    while True:
        i += 1
        key = f"{n}-{i}"
        drive(ledger.reserve(reservation(key, 10, limit=None)))
        if i % 3:
            drive(ledger.mark_sent(key))
        drive(ledger.settle(key, [i, 1], row(key, cost=i)))
        os.write(pipe, f"{key} {i}\n".encode())


def fork(url, times):
    """Fork while threads are at work; the children work too."""
    ledger = open_store(url).ledger()
    file = url.split("///", 1)[1]
    done = threading.Event()

    def work(n):
        i = 0
        while not done.is_set():
            i += 1
            key = f"parent-{n}-{i}"
            drive(ledger.reserve(reservation(key, 1, limit=None)))
            drive(ledger.settle(key, [1, 1], row(key, cost=1)))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    failed = 0
    for n in range(int(times)):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                inherited = [fd for fd in Path("/proc/self/fd").iterdir() if _target(fd).startswith(file)]
                for i in range(5):
                    key = f"child-{n}-{i}"
                    drive(ledger.reserve(reservation(key, 1, limit=None)))
                    drive(ledger.settle(key, [1, 1], row(key, cost=1)))
                ledger.close()
                status = 2 if inherited else 0
            finally:
                os._exit(status)
        failed += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
    done.set()
    for worker in workers:
        worker.join()
    ledger.close()
    return {"failed": failed}


def _target(fd):
    try:
        return str(fd.readlink())
    except OSError:
        return ""


if __name__ == "__main__":
    mode, *given = sys.argv[1:]
    print(json.dumps({"hammer": hammer, "die": die, "fork": fork}[mode](*given)))  # noqa: T201 - that is how it answers
