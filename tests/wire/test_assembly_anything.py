"""Any answer comes back from its random pieces, and nothing that a server sends raises."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from llmstack._wire.assembly import assembly
from llmstack._wire.sse import ServerSentEvent
from tests.wire.chat_chunks import choice, chunk, fed

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
calls = st.lists(st.fixed_dictionaries({"name": text, "arguments": st.text(max_size=20)}), min_size=1, max_size=3)
messages = st.fixed_dictionaries({}, optional={"content": text, "refusal": text, "tool_calls": calls})


def pieces(draw: Any, value: str) -> list[str]:
    """A string in random pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(value)), max_size=3)))
    return [value[a:b] for a, b in zip([0, *cuts], [*cuts, len(value)], strict=True)]


@given(st.lists(messages, min_size=1, max_size=3), st.data())
def test_an_answer_in_random_pieces_comes_back(answers: list[dict[str, Any]], data: st.DataObject) -> None:
    """Cut each string anywhere and interleave the choices: the same answer."""
    queues: list[list[dict[str, Any]]] = []
    for index, answer in enumerate(answers):
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": data.draw(st.sampled_from(["", None]))}]
        for key in ("content", "refusal"):
            deltas += [{key: piece} for piece in pieces(data.draw, answer.get(key) or "")] if key in answer else []
        for at, each in enumerate(answer.get("tool_calls", [])):
            deltas.append(
                {"tool_calls": [{"index": at, "id": f"c{at}", "type": "function", "function": {"name": each["name"]}}]}
            )
            deltas += [
                {"tool_calls": [{"index": at, "function": {"arguments": p}}]}
                for p in pieces(data.draw, each["arguments"])
            ]
        queues.append([choice(delta, index=index) for delta in deltas] + [choice({}, "stop", index=index)])
    chunks = []
    while left := [queue for queue in queues if queue]:
        chunks.append(chunk(data.draw(st.sampled_from(left)).pop(0)))
    seen = fed(chunks, choices=len(answers))
    body = seen.body()
    assert seen.complete()
    assert body is not None
    ChatCompletion.model_validate(body)
    for answer, got in zip(answers, body["choices"], strict=True):
        message = {key: value for key, value in got["message"].items() if value is not None}
        want: dict[str, Any] = {"role": "assistant", **answer}
        if "tool_calls" in answer:
            want["tool_calls"] = [
                {"id": f"c{at}", "type": "function", "function": each} for at, each in enumerate(answer["tool_calls"])
            ]
        if message.get("content") == "":
            del message["content"]
        assert message == want


KEYS = """
    choices delta index tool_calls content id logprobs finish_reason usage function type response output_index item part
    output summary_index
""".split()  # noqa: SIM905 - legible
KINDS = """
    output_text.delta content_part.added output_item.added output_text.done output_text.annotation.added completed
    created refusal.delta reasoning_summary_text.delta
""".split()  # noqa: SIM905 - legible
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)
kinds = st.sampled_from(KINDS).map("response.".__add__)


@given(
    st.sampled_from(["chat.completions", "completions", "responses", "x", "images.edits"]),
    st.lists(json_values | st.dictionaries(st.sampled_from(["choices", "usage", "delta", "part"]), json_values)
             | st.fixed_dictionaries({"type": kinds}, optional={"output_index": st.integers(0, 2), "delta": json_values,
                                     "item": json_values, "part": json_values, "response": json_values,
                                     "content_index": st.integers(0, 2), "text": json_values, "logprobs": json_values}),
             max_size=8),
    st.sampled_from([500, 10**6]),
)  # fmt: skip
def test_nothing_a_server_sends_raises(endpoint: str, values: list[Any], limit: int) -> None:
    """Any JSON at all in any event."""
    seen = assembly(endpoint, limit=limit)
    for value in values:
        seen.note(ServerSentEvent(data=json.dumps(value)))
    seen.body()
    seen.usage()
    seen.complete()
    seen.end()
    seen.complete()
    json.dumps(seen.body())
