"""What a hit costs, next to a call of the bare SDK; and what of that is the cache's own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import openai

import llmstack
from benchmarks.call import ASK, BARE, KEY, chat, cpu, server
from benchmarks.table import Table, interleaved, middle
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack._core.exchange import Exchange
from llmstack._drivers.sync import run
from llmstack.middleware import Cache
from llmstack.testing.scripted import text_body

CALLS = 100
REDIS = "LLMSTACK_BENCHMARK_REDIS"
"""The environment variable with the URL of a Redis to measure, too."""


@contextmanager
def stores() -> Generator[dict[str, str], None, None]:
    """The stores by name: their URLs."""
    with tempfile.TemporaryDirectory() as folder:
        urls = {"memory": "memory://", "SQLite": f"sqlite:///{Path(folder) / 'cache.db'}"}
        if os.environ.get(REDIS):
            urls["Redis"] = os.environ[REDIS]
        yield urls


def client_of(url: str, cache: Cache) -> openai.OpenAI:
    return llmstack.OpenAI(base_url=url, api_key=KEY, stack=Stack([cache]))


def taken(client_url: str) -> Call:
    """The call that a client makes."""
    seen: list[Call] = []

    def take(call: Call, _next: Next) -> Flow[Reply]:
        seen.append(call)
        return Reply(text_body(call, "Hello"))
        yield

    with llmstack.OpenAI(base_url=client_url, api_key=KEY, stack=Stack([take])) as client:
        client.chat.completions.create(**ASK)
    return seen[0]


class Service:
    """Answers at once, with so many words."""

    name = "service"

    def __init__(self, call: Call) -> None:
        self._content = Reply(text_body(call, "word " * 200)).content

    def send(self, _call: Call) -> Flow[Reply]:
        return Reply(content=self._content)
        yield


def through(call: Call, cache: Cache | None) -> Callable[[], object]:
    """A call through the layer alone: no client, no parsing."""
    stack = Stack([] if cache is None else [cache], transport=Service(call))
    clock = stack.clock
    call.progress.now = clock.monotonic

    return lambda: run(Exchange(call.replace(), stack.engine).start(), clock)


def measure(scale: float = 1.0) -> Table:
    with server() as url, stores() as urls, ExitStack() as open_caches:
        call = taken(url)
        bare = open_caches.enter_context(openai.OpenAI(base_url=url, api_key=KEY))
        works = {BARE: cpu(partial(chat, bare), CALLS), "no cache": cpu(through(call, None), CALLS * 5)}
        for name, store in urls.items():
            cache = Cache(when="always", store=store)
            open_caches.callback(cache.close)
            client = open_caches.enter_context(client_of(url, cache))
            works[f"{name}: a call that is served"] = cpu(partial(chat, client), CALLS)
            works[f"{name}: the layer alone"] = cpu(through(call, cache), CALLS * 5)
        found = interleaved(works, rounds=max(3, int(15 * scale)))
    nothing = middle(found.pop("no cache"))
    rows: list[list[Any]] = []
    for name, values in found.items():
        least = nothing if name.endswith("alone") else 0.0
        own = [value - least for value in values]
        ratio = middle([value / whole for value, whole in zip(own, found[BARE], strict=True)])
        rows.append([name, middle(own), min(own), ratio])
    notes = [
        "CPU of this process. A call that is served is encoded, and its answer parsed, as any other.",
        f"{REDIS}=redis://... measures a Redis, too.",
    ]
    return Table("Cache: µs of CPU per hit", ["what", "median", "min", f"ratio to {BARE}"], rows, notes)
