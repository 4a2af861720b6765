"""Streams of chat chunks as OpenAI sends them, and an assembly that has seen them."""

from __future__ import annotations

import json
from typing import Any

from llmstack._wire.assembly import Assembly, assembly
from llmstack._wire.sse import ServerSentEvent

DONE = ServerSentEvent(data="[DONE]")
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def chunk(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A chunk as OpenAI sends it."""
    return {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-5-mini-2026",
        "service_tier": "default", "system_fingerprint": "fp_1", "choices": list(choices), "obfuscation": "x", **more,
    }  # fmt: skip


def choice(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A choice of a chunk."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, **more}


def token(text: str) -> dict[str, Any]:
    """The logprob of a token."""
    return {"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": []}


def call(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    """A piece of a tool call."""
    function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
    return choice({"tool_calls": [{"index": index, **more, "function": function}]})


ROLE = {"role": "assistant", "content": "", "refusal": None}
STREAMS: dict[str, list[dict[str, Any]]] = {
    "plain": [
        chunk(choice(ROLE), usage=None),
        chunk(choice({"content": "Hel"}), usage=None),
        chunk(choice({"content": "lo \u20ac"}), usage=None),
        chunk(choice({}, "stop"), usage=None),
        chunk(usage=USAGE),
    ],
    "tools": [
        chunk(choice({"role": "assistant", "content": None})),
        chunk(call(0, "", id="call_a", type="function", name="weather")),
        chunk(call(0, '{"city":')),
        chunk(call(0, '"Paris"}')),
        chunk(call(1, "", id="call_b", type="function", name="time")),
        chunk(call(1, '{"zone": "\u20ac"}')),
        chunk(choice({}, "tool_calls")),
        chunk(usage=USAGE),
    ],
    "refusal": [
        chunk(choice(ROLE)),
        chunk(choice({"refusal": "I'm"})),
        chunk(choice({"refusal": " sorry"})),
        chunk(choice({}, "stop")),
    ],
    "logprobs": [
        chunk(choice(ROLE)),
        chunk(choice({"content": "a"}, logprobs={"content": [token("a")], "refusal": None})),
        chunk(choice({"content": "bc"}, logprobs={"content": [token("b"), token("c")], "refusal": None})),
        chunk(choice({}, "length")),
    ],
    "n=2": [
        chunk(choice(ROLE), choice(ROLE, index=1)),
        chunk(choice({"content": "one"})),
        chunk(choice({"content": "two"}, index=1)),
        chunk(choice({"content": "!"})),
        chunk(choice({}, "stop")),
        chunk(choice({}, "content_filter", index=1)),
        chunk(usage=USAGE),
    ],
    "audio": [
        chunk(choice({**ROLE, "content": None})),
        chunk(choice({"audio": {"id": "audio_1", "transcript": "Hi"}})),
        chunk(choice({"audio": {"data": "AAAA"}})),
        chunk(choice({"audio": {"transcript": " you"}})),
        chunk(choice({"audio": {"data": "BBBB"}})),
        chunk(choice({"audio": {"expires_at": 1700003600}})),
        chunk(choice({}, "stop")),
    ],
    "function": [
        chunk(choice({**ROLE, "content": None, "function_call": {"name": "f", "arguments": ""}})),
        chunk(choice({"function_call": {"arguments": '{"a"'}})),
        chunk(choice({"function_call": {"arguments": ": 1}"}})),
        chunk(choice({}, "function_call")),
    ],
}


def fed(chunks: list[dict[str, Any]], *, done: bool = True, **options: Any) -> Assembly:
    """An assembly that has seen these chunks."""
    seen = assembly("chat.completions", **options)
    for value in chunks:
        assert seen.note(ServerSentEvent(data=json.dumps(value))) is None
    if done:
        seen.note(DONE)
    return seen
