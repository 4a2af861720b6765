"""What the Redis store costs, with a redis-server of its own; nothing is measured where none is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from typing import Any

import anyio

from benchmarks.stores import asynchronous, beside_rivals, ranked, sync
from benchmarks.table import Table
from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import open_store

RIVALS = 7


def wait_for(url: str) -> None:
    """Until it answers."""
    cache = open_store(url).cache()
    for _ in range(250):
        try:
            drive(cache.get(["key"]))
        except StoreError:
            time.sleep(0.02)
        else:
            break
    cache.close()


def rows_of(url: str, rounds: int) -> list[list[Any]]:
    """Sync, on asyncio and on trio; then beside others."""
    ways = {
        "sync": sync(open_store(url), rounds, "s"),
        "asyncio": anyio.run(asynchronous, open_store(url), rounds, "a"),
        "trio": anyio.run(asynchronous, open_store(url), rounds, "t", backend="trio"),
    }
    rows: list[list[Any]] = [
        [way, what, *ranked(values)] for way, found in ways.items() for what, values in found.items()
    ]
    crowded = beside_rivals(f"{url}&prefix=crowded", max(50, rounds // 2))
    return [*rows, ["sync", f"reserve, {RIVALS} processes beside", *ranked(crowded)]]


def measure(scale: float = 1.0) -> Table:
    rounds = max(50, int(2000 * scale))
    program = shutil.which("redis-server")
    rows: list[list[Any]] = []
    if program is not None:
        with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            probe.close()
            command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
            # The program is the machine's own, and nothing in the command comes from outside.
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
            try:
                url = f"redis://127.0.0.1:{port}/0?timeout=5"
                wait_for(url)
                rows = rows_of(url, rounds)
            finally:
                server.terminate()
                server.wait()
    return Table("Redis store: µs an operation", ["program", "operation", "median", "p99"], rows)
