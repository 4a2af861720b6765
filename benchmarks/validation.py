"""What looking at a call costs: default `Validation()` on a plain call and on conversations, next to a bare call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import openai

import llmstack
from benchmarks.call import KEY, MESSAGES, cpu, server
from benchmarks.table import Table, interleaved, middle
from llmstack._core.call import Call
from llmstack._core.effects import Flow
from llmstack._core.reply import Reply
from llmstack.middleware.validation import Validation

REPLY = Reply({"choices": []})
MODEL = "gpt-6-luna"
SENTENCE = "The quick brown fox jumps over the lazy dog, and what it finds there is a stack of turtles. "


def conversation(size: int, messages: int) -> list[dict[str, Any]]:
    """Messages of so many bytes together, with tool calls and their results among them."""
    text = (SENTENCE * (size // len(SENTENCE) + 1))[: size // messages]
    found: list[dict[str, Any]] = [{"role": "system", "content": text}]
    while len(found) < messages:
        i = len(found)
        function = {"name": "look", "arguments": "{}"}
        call = {"id": f"call_{i}", "type": "function", "function": function}
        found += [
            {"role": "user", "content": text},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{i}", "content": text},
            {"role": "assistant", "content": text},
        ]
    return found


CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "plain, 2 messages": MESSAGES,
    "1 KB, 5 messages": conversation(1_000, 5),
    "100 KB, 101 messages": conversation(100_000, 101),
}


def send(_call: Call) -> Flow[Reply]:
    return REPLY
    yield


def passed(validation: Validation, call: Call) -> None:
    """Take a call through the layer alone."""
    flow = validation.llmstack_call(call, send)
    try:
        while True:
            flow.send(None)
    except StopIteration:
        return


def bare(client: openai.OpenAI, messages: list[Any]) -> None:
    client.chat.completions.create(model=MODEL, messages=messages)


def measure(scale: float = 1.0) -> Table:
    rows: list[list[Any]] = []
    validation = Validation()
    rounds = max(3, int(15 * scale))
    with server() as url:
        sdk = openai.OpenAI(base_url=url, api_key=KEY)
        stacked = llmstack.OpenAI(base_url=url, api_key=KEY, stack=llmstack.Stack([Validation()]))
        for name, messages in CONVERSATIONS.items():
            call = Call(
                path="/chat/completions",
                endpoint="chat.completions",
                base_url="https://api.openai.com/v1",
                params={"model": MODEL, "messages": messages},
            )
            works: dict[str, Callable[[], float]] = {
                "layer": cpu(partial(passed, validation, call), 200),
                "bare": cpu(partial(bare, sdk, messages), 20),
                "stacked": cpu(partial(bare, stacked, messages), 20),
            }
            found = interleaved(works, rounds)
            share = middle([100 * mine / call for mine, call in zip(found["layer"], found["bare"], strict=True)])
            rows.append([name, middle(found["layer"]), middle(found["bare"]), share, middle(found["stacked"])])
    columns = ["conversation", "Validation() µs", "bare SDK call µs", "share of it in %", "whole call with it µs"]
    notes = ["The calls go over a socket to a server in a process of its own; CPU of this process."]
    return Table("Validation: µs of CPU per call", columns, rows, notes)
