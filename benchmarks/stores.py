"""What a store costs: entries of 2 KB, reservations of two charges, alone and beside seven other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import anyio

from benchmarks.table import Table, no_collection
from llmstack import Flow
from llmstack.effects import adrive, drive
from llmstack.stores import Bucket, CacheStore, Charge, Entry, Ledger, Record, Reservation, Store, open_store

VALUE = b'"' + b"x" * 2000 + b'"'
FOREVER = 10**11
RIVALS = 7
WRITER = """
import sys
from benchmarks.stores import rival
rival(sys.argv[1])
"""


def entry() -> Entry:
    now = time.time()
    return Entry(VALUE, now, now + 3600, now + 3600)


def row(key: str) -> Record:
    return Record(id=key, call=key, at=time.time(), endpoint="chat.completions", model="gpt-5-mini", cost=5)


def reservation(key: str) -> Reservation:
    charges = (
        Charge(Bucket("usd/day/user=ann", 0), 0, FOREVER, 10, FOREVER),
        Charge(Bucket("usd/day", 0), 0, None, 10, FOREVER),
    )
    return Reservation(key, charges, 600.0, row(key))


def operations(cache: CacheStore, ledger: Ledger) -> dict[str, Callable[[str], Flow[Any]]]:
    """By name, what is done under a key; a key is used by all in this order."""
    return {
        "set": lambda key: cache.set({key: entry()}, tenant="ann"),
        "get": lambda key: cache.get([key]),
        "reserve": lambda key: ledger.reserve(reservation(key)),
        "mark sent": ledger.mark_sent,
        "settle": lambda key: ledger.settle(key, [5, 5], row(key)),
    }


def sync(store: Store, rounds: int, name: str) -> dict[str, list[float]]:
    cache, ledger = store.cache(), store.ledger()
    found: dict[str, list[float]] = {}
    with no_collection():
        for what, operation in operations(cache, ledger).items():
            found[what] = []
            for i in range(rounds):
                started = time.perf_counter()
                drive(operation(f"{name}-{i}"))
                found[what].append((time.perf_counter() - started) * 1e6)
    cache.close()
    ledger.close()
    return found


async def asynchronous(store: Store, rounds: int, name: str) -> dict[str, list[float]]:
    cache, ledger = store.cache(), store.ledger()
    found: dict[str, list[float]] = {}
    with no_collection():
        for what, operation in operations(cache, ledger).items():
            found[what] = []
            for i in range(rounds):
                started = time.perf_counter()
                await adrive(operation(f"{name}-{i}"))
                found[what].append((time.perf_counter() - started) * 1e6)
    await cache.aclose()
    await ledger.aclose()
    return found


def rival(url: str) -> None:
    """Reserve and settle until the one who started this closes the pipe."""
    ledger = open_store(url).ledger()
    print("ready", flush=True)
    i = 0
    while True:
        i += 1
        drive(ledger.reserve(reservation(f"{os.getpid()}-{i}")))
        drive(ledger.settle(f"{os.getpid()}-{i}", [5, 5], row(f"{os.getpid()}-{i}")))


def beside_rivals(url: str, rounds: int) -> list[float]:
    """Reserving beside seven processes that do nothing else."""
    command = [sys.executable, "-c", WRITER, url]
    # Our own program and this interpreter: nothing here comes from outside.
    rivals = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(RIVALS)]  # noqa: S603
    ledger = open_store(url).ledger()
    found: list[float] = []
    try:
        for one in rivals:
            assert one.stdout is not None
            one.stdout.readline()
        for i in range(rounds):
            started = time.perf_counter()
            drive(ledger.reserve(reservation(f"here-{i}")))
            found.append((time.perf_counter() - started) * 1e6)
            drive(ledger.settle(f"here-{i}", [5, 5], row(f"here-{i}")))
    finally:
        for one in rivals:
            one.kill()
            one.communicate()
        ledger.close()
    return found


def ranked(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]]


def measure(scale: float = 1.0) -> Table:
    rounds = max(50, int(2000 * scale))
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, url in {"memory": "memory://", "sqlite": f"sqlite:///{folder}/llm.db"}.items():
            ways = {
                "sync": sync(open_store(url), rounds, "s"),
                "asyncio": anyio.run(asynchronous, open_store(url), rounds, "a"),
                "trio": anyio.run(asynchronous, open_store(url), rounds, "t", backend="trio"),
            }
            rows += [
                [name, way, what, *ranked(values)] for way, found in ways.items() for what, values in found.items()
            ]
        crowded = beside_rivals(f"sqlite:///{folder}/crowded.db", max(50, rounds // 2))
        rows.append(["sqlite", "sync", f"reserve, {RIVALS} processes beside", *ranked(crowded)])
    return Table("Stores: µs an operation", ["store", "program", "operation", "median", "p99"], rows)
