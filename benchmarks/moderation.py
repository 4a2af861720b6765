"""What Moderation costs where nothing has to be asked: blocked terms, and verdicts that are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai

from benchmarks.call import KEY, cpu, server
from benchmarks.layers import microseconds
from benchmarks.table import Table, interleaved, middle
from llmstack import Call, Flow, Reply, Stack
from llmstack._core.exchange import Exchange
from llmstack._drivers.clock import SystemClock
from llmstack._drivers.sync import run
from llmstack.middleware.moderation import Moderation

TERMS = [f"blocked{i} phrase{i % 9}" if i % 2 else f"blocked{i}" for i in range(1000)]
SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody minds phrase3 of its 27 friends. "
SIZES = {"1 KB": 1_000, "100 KB": 100_000}
ANSWER = Reply({"choices": []})
VERDICT = {"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 0.001}}


class Service:
    """Answers at once."""

    name = "service"

    def send(self, call: Call) -> Flow[Reply]:
        if call.endpoint == "moderations":
            return Reply({"results": [VERDICT] * len(call.params["input"])})
        return ANSWER
        yield


def through(moderation: Moderation | None, text: str) -> Callable[[], object]:
    """A call through this plugin alone, without a network."""
    clock = SystemClock()
    stack = Stack([] if moderation is None else [moderation], transport=Service())
    call = Call(
        path="/chat/completions",
        endpoint="chat.completions",
        params={"model": "m", "messages": [{"role": "user", "content": text}]},
    )
    call.progress.now = clock.monotonic
    return lambda: run(Exchange(call, stack.engine).start(), clock)


def text_of(size: int, *, plain: bool) -> str:
    text = (SENTENCE * (size // len(SENTENCE) + 1))[:size]
    return text if plain else text.replace("quick", "qu\u00edck")


def bare(client: openai.OpenAI, text: str) -> Callable[[], object]:
    messages: list[Any] = [{"role": "user", "content": text}]
    return lambda: client.chat.completions.create(model="gpt-5-mini", messages=messages)


def measure(scale: float = 1.0) -> Table:
    rounds = max(3, int(15 * scale))
    rows: list[list[Any]] = []
    with server() as url, openai.OpenAI(base_url=url, api_key=KEY) as client:
        for name, size in SIZES.items():
            calls = max(2, 200_000 // size)
            plain, accented = text_of(size, plain=True), text_of(size, plain=False)
            works = {
                "the bare SDK's call": cpu(bare(client, plain), 20),
                "without": microseconds(through(None, plain), calls),
                "1,000 terms, ASCII": microseconds(through(_terms(), plain), calls),
                "1,000 terms, accents": microseconds(through(_terms(), accented), calls),
                "a known verdict": microseconds(through(Moderation(), plain), calls),
            }
            found = {work: middle(values) for work, values in interleaved(works, rounds).items()}
            whole, nothing = found.pop("the bare SDK's call"), found.pop("without")
            rows.append([name, "the bare SDK's call", whole, 100.0])
            rows += [[name, work, took - nothing, 100 * (took - nothing) / whole] for work, took in found.items()]
    notes = ["Beyond a stack without plugins; the share is of the CPU of the bare SDK's call with the same prompt."]
    return Table("Moderation: µs per call", ["prompt", "what", "median", "% of the call"], rows, notes)


def _terms() -> Moderation:
    return Moderation(blocked_terms=TERMS, endpoint=False)
