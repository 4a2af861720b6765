"""What is measured: calls of several kinds. A case does a batch of them and says how many units that was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import count
from typing import Any

from benchmarks.answers import EVENTS, INPUTS, PACED
from benchmarks.subject import ALONE, BARE, BARE_AIOHTTP, EMPTY, FULL, REDIS, SQLITE, Subject

MODEL = "gpt-5-mini"
ASK: dict[str, Any] = {"model": MODEL, "temperature": 0}
"""What is asked is meant to have one answer. By default Cache passes by all else, and would cost nothing."""

SYSTEM = {"role": "system", "content": "You are a helpful assistant. Answer briefly and to the point."}
TURN = "The quick brown fox jumps over the lazy dog, and what it finds there is a stack of turtles."
BEFORE = [SYSTEM]
LONG = [SYSTEM, *({"role": ("user", "assistant")[i % 2], "content": f"{i}: {TURN}"} for i in range(98))]
PAGES = (TURN + "\n") * (100_000 // (len(TURN) + 1))
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": f"look_up_{i}",
            "description": "Look something up in one of the catalogues.",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "limit": {"type": "integer", "minimum": 1}},
                "required": ["query"],
                "additionalProperties": False,
            },
        },
    }
    for i in range(5)
]
TEXTS = [f"{i}: {TURN}" for i in range(INPUTS)]

CALLS = 100
"""Plain calls in a batch, of whatever kind: the first ones after a pause take up to four times as long, so
cases of different lengths could not be compared."""

Batch = Callable[[Subject], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of call.

    Attributes:
        name: What it is called in the table.
        unit: What the microseconds are for.
        work: Does a batch; a coroutine function if it is async.
        units: Units in a batch.
        target: The ratio to bare that the last of those measured is to stay under; None if none was set.
        empty_target: The same for a stack without plugins.
        who: Who is measured.
        paced: True if a batch takes its time: a third of the rounds is enough of it.
    """

    name: str
    unit: str
    work: Batch
    units: int
    target: float | None = None
    empty_target: float | None = None
    who: tuple[str, ...] = (BARE, EMPTY, ALONE, FULL)
    paced: bool = False


_numbers = count()


def question() -> str:
    """One that nobody has asked before: no cache has its answer."""
    return f"What is a stack? ({next(_numbers)})"


def messages(before: list[Any] = BEFORE, text: str = "") -> list[Any]:
    return [*before, {"role": "user", "content": text + question()}]


def chat(times: int, *, before: list[Any] = BEFORE, text: str = "", **more: Any) -> Batch:
    def work(subject: Subject) -> None:
        for _ in range(times):
            subject.sync().chat.completions.create(**ASK, messages=messages(before, text), **more)

    return work


def responses(times: int) -> Batch:
    def work(subject: Subject) -> None:
        for _ in range(times):
            subject.sync().responses.create(**ASK, input=question())

    return work


def embeddings(times: int) -> Batch:
    def work(subject: Subject) -> None:
        for _ in range(times):
            new = question()
            # All of them: the server answers with a vector for each, whatever is asked.
            asked = [f"{text} {new}" for text in TEXTS]
            subject.sync().embeddings.create(model="text-embedding-3-small", input=asked)

    return work


def chat_streams(times: int) -> Batch:
    def work(subject: Subject) -> None:
        for _ in range(times):
            for _ in subject.sync().chat.completions.create(**ASK, messages=messages(), stream=True):
                pass

    return work


def responses_streams(times: int) -> Batch:
    def work(subject: Subject) -> None:
        for _ in range(times):
            for _ in subject.sync().responses.create(**ASK, input=question(), stream=True):
                pass

    return work


def in_flight(width: int, times: int, http: str = "default") -> Batch:
    """So many tasks, each making calls one after the other."""

    async def work(subject: Subject) -> None:
        client = subject.aio(http)

        async def calls() -> None:
            for _ in range(times):
                await client.chat.completions.create(**ASK, messages=messages())

        await _all(calls() for _ in range(width))

    return work


def streams(width: int, times: int, http: str = "default", path: str = "/v1") -> Batch:
    """So many tasks, each reading streams one after the other."""

    async def work(subject: Subject) -> None:
        client = subject.aio(http, path)

        async def read() -> None:
            for _ in range(times):
                stream = await client.chat.completions.create(**ASK, messages=messages(), stream=True)
                async for _ in stream:
                    pass

        await _all(read() for _ in range(width))

    return work


async def _all(works: Any) -> None:
    coroutines: list[Coroutine[Any, Any, None]] = list(works)
    await (coroutines[0] if len(coroutines) == 1 else asyncio.gather(*coroutines))


def known(times: int) -> Batch:
    """The same question, which a cache may answer: the model is told to say the same each time."""
    asked: list[Any] = [SYSTEM, {"role": "user", "content": "What is a stack?"}]

    def work(subject: Subject) -> None:
        for _ in range(times):
            subject.sync().chat.completions.create(**ASK, messages=asked)

    return work


CHUNKS = EVENTS["/chat/completions"]
ON_AIOHTTP = (BARE, BARE_AIOHTTP, EMPTY, ALONE, FULL)
CASES = [
    Case("sync, one at a time", "call", chat(CALLS), CALLS, 0.50, 0.45),
    Case("async, one at a time", "call", in_flight(1, CALLS), CALLS),
    Case("async, 64 in flight", "call", in_flight(64, 2), 128, 0.60),
    Case("async, 64 in flight, aiohttp", "call", in_flight(64, 2, "aiohttp"), 128, 0.30, who=ON_AIOHTTP),
    Case("async, 256 in flight", "call", in_flight(256, 1), 256),
    Case("streamed chunk, sync", "chunk", chat_streams(5), 5 * CHUNKS, 0.15),
    Case("streamed chunk, async", "chunk", streams(1, 5), 5 * CHUNKS, 0.20),
    Case("streamed chunk, async, aiohttp", "chunk", streams(1, 5, "aiohttp"), 5 * CHUNKS, 0.15, who=ON_AIOHTTP),
    Case("64 paced streams", "chunk", streams(64, 1, path="/paced/v1"), 64 * PACED, paced=True),
    Case(
        "64 paced streams, aiohttp",
        "chunk",
        streams(64, 1, "aiohttp", "/paced/v1"),
        64 * PACED,
        0.40,
        who=ON_AIOHTTP,
        paced=True,
    ),
    Case("100-message conversation", "call", chat(10, before=LONG), 10, 0.15),
    Case("100 KB message", "call", chat(CALLS, text=PAGES), CALLS, 0.65),
    Case("5 tools", "call", chat(CALLS, tools=TOOLS), CALLS),
    Case("Responses", "call", responses(CALLS), CALLS, 0.50),
    Case("Responses, streamed event", "event", responses_streams(5), 5 * EVENTS["/responses"], 0.20),
    Case("embeddings of 100 inputs", "call", embeddings(10), 10),
    Case("cached hit, memory", "call", known(200), 200, 0.05, who=(BARE, ALONE, FULL)),
    Case("cached hit, SQLite", "call", known(200), 200, 0.12, who=(BARE, SQLITE)),
    Case("cached hit, Redis", "call", known(100), 100, 0.30, who=(BARE, REDIS)),
]
