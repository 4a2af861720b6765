"""What a call costs this process, over a real socket: the bare SDK, a stack without plugins, the default stack."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import process_time_ns
from typing import Any

import openai

import llmstack
from benchmarks.table import Table, interleaved, middle

KEY = "sk-test-not-a-key"
MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant. Answer briefly and to the point."},
    {"role": "user", "content": "What is a stack?"},
]
ASK: dict[str, Any] = {"model": "gpt-5-mini", "messages": MESSAGES}
IN_FLIGHT = 64
BARE = "openai"
KINDS: dict[str, Callable[[], llmstack.Stack | None]] = {
    BARE: lambda: None,
    "Stack([])": lambda: llmstack.Stack([]),
    "Stack.default()": llmstack.Stack.default,
}


@contextmanager
def server() -> Generator[str, None, None]:
    """The tiny server in a process of its own; its base URL."""
    command = [sys.executable, "-m", "benchmarks.server"]
    where = Path(__file__).parent.parent
    # Fixed words and this interpreter: nothing here comes from outside.
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=where
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.stdin.close()


def chat(client: openai.OpenAI) -> None:
    client.chat.completions.create(**ASK)


def stream(client: openai.OpenAI) -> None:
    for _ in client.chat.completions.create(**ASK, stream=True):
        pass


def cpu(work: Callable[[], object], calls: int) -> Callable[[], float]:
    """A measurement: µs of CPU per call, all threads of this process."""

    def once() -> float:
        started = process_time_ns()
        for _ in range(calls):
            work()
        return (process_time_ns() - started) / calls / 1000

    return once


def sync_works(url: str, one: Callable[[openai.OpenAI], None], calls: int) -> dict[str, Callable[[], float]]:
    works: dict[str, Callable[[], float]] = {}
    for name, stack in KINDS.items():
        given: dict[str, Any] = {"base_url": url, "api_key": KEY}
        made = stack()
        client = openai.OpenAI(**given) if made is None else llmstack.OpenAI(stack=made, **given)
        works[name] = cpu(partial(one, client), calls)
    return works


def async_works(url: str, calls: int, loop: asyncio.Runner) -> dict[str, Callable[[], float]]:
    """The same with many calls in flight; CPU per call."""

    async def batch(client: openai.AsyncOpenAI) -> None:
        await asyncio.gather(*(client.chat.completions.create(**ASK) for _ in range(IN_FLIGHT)))

    def finish(client: openai.AsyncOpenAI) -> None:
        loop.run(batch(client))

    def per_call(once: Callable[[], float]) -> float:
        return once() / IN_FLIGHT

    works: dict[str, Callable[[], float]] = {}
    for name, stack in KINDS.items():
        given: dict[str, Any] = {"base_url": url, "api_key": KEY}
        made = stack()
        client = openai.AsyncOpenAI(**given) if made is None else llmstack.AsyncOpenAI(stack=made, **given)
        once = cpu(partial(finish, client), max(1, calls // IN_FLIGHT))
        works[name] = partial(per_call, once)
    return works


def measure(scale: float = 1.0) -> Table:
    rows: list[list[Any]] = []
    with server() as url, asyncio.Runner() as loop:
        modes = {
            "sync": sync_works(url, chat, calls=100),
            "stream of 200 chunks": sync_works(url, stream, calls=6),
            f"async, {IN_FLIGHT} in flight": async_works(url, 2 * IN_FLIGHT, loop),
        }
        for mode, works in modes.items():
            found = interleaved(works, rounds=max(3, int(15 * scale)))
            for name, values in found.items():
                # Ratios within a round: what slows the machine for a while slows both.
                ratio = middle([value / bare for value, bare in zip(values, found[BARE], strict=True)])
                rows.append([mode, name, middle(values), min(values), ratio])
    columns = ["mode", "client", "median", "min", f"ratio to {BARE}"]
    notes = [f"openai {openai.__version__}; the server runs in a process of its own."]
    return Table("Call: µs of CPU per call, over a socket", columns, rows, notes)
