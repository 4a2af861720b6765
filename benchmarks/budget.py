"""What keeping the books costs: Budget around a call, on each store, next to a bare call."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import openai

import llmstack
from benchmarks.call import KEY, cpu, server
from benchmarks.table import Table, interleaved, middle
from llmstack import Stack
from llmstack.middleware import Budget
from llmstack.testing import ScriptedTransport

MODEL = "gpt-5-mini"
QUESTION: Any = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "Say hello."}]
LIMITS = ["$1000/day", "1B tokens/month", "1M calls/1h per user"]


def ask(client: openai.OpenAI) -> None:
    client.chat.completions.create(model=MODEL, messages=QUESTION, max_completion_tokens=100)


@contextmanager
def redis() -> Generator[str | None, None, None]:
    """A server of our own, if there is one to start."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - the server that the machine has
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(250):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def client_of(*plugins: Any) -> llmstack.OpenAI:
    """A client whose calls go nowhere: what is left is the stack."""
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
        "usage": usage,
    }
    transport = ScriptedTransport(default=body)
    return llmstack.OpenAI(api_key=KEY, stack=Stack(plugins, transport=transport))


def wall(client: openai.OpenAI, calls: int) -> float:
    """µs a call by the clock: what a store makes a thread wait is no CPU of ours."""
    begun = time.perf_counter()
    for _ in range(calls):
        ask(client)
    return (time.perf_counter() - begun) / calls * 1e6


def measure(scale: float = 1.0) -> Table:
    rounds, calls = max(3, int(15 * scale)), 50
    rows: list[list[Any]] = []
    with server() as url, redis() as redis_url, tempfile.TemporaryDirectory() as folder:
        sdk = openai.OpenAI(base_url=url, api_key=KEY)
        stores = {"memory": "memory://", "sqlite": f"sqlite:///{Path(folder) / 'llm.db'}", "redis": redis_url}
        without = client_of()
        for name, store in stores.items():
            if store is None:
                continue
            budgets = {"no limit": Budget(store=store), "3 limits": Budget(LIMITS, store=store)}
            for kind, budget in budgets.items():
                client = client_of(budget)
                works: dict[str, Callable[[], float]] = {
                    "bare": cpu(partial(ask, sdk), 20),
                    "without": cpu(partial(ask, without), calls),
                    "with": cpu(partial(ask, client), calls),
                    "wall without": partial(wall, without, calls),
                    "wall with": partial(wall, client, calls),
                }
                found = {work: middle(values) for work, values in interleaved(works, rounds).items()}
                mine = found["with"] - found["without"]
                waited = found["wall with"] - found["wall without"]
                rows.append([name, kind, mine, 100 * mine / found["bare"], waited])
                budget.close()
    columns = ["store", "limits", "CPU µs", "share of a bare call in %", "µs by the clock"]
    notes = ["A call with Budget less one without, on a transport that answers at once; CPU of this process."]
    return Table("Budget: what a call costs more", columns, rows, notes)
