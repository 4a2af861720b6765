"""The events of a streamed Response as the chunks of a streamed chat completion."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from tests.transports.translation.chat_chunks import CALL, CREATED, Json, chunk, ended, event, opening, told

CUSTOM = {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_2", "name": "code", "input": ""}


def called(number: int, **more: Any) -> Json:
    return {"tool_calls": [{"index": number, **more}]}


STREAMS: dict[str, tuple[list[Json], list[Json]]] = {
    "text": (
        [event("output_text.delta", delta="He"), event("output_text.delta", delta="llo"), ended()],
        [opening(), chunk({"content": "He"}), chunk({"content": "llo"}), chunk({}, "stop")],
    ),
    "refusal": (
        [event("refusal.delta", delta="no"), ended()],
        [opening(), chunk({"refusal": "no"}), chunk({}, "stop")],
    ),
    "no word": ([ended()], [opening(), chunk({}, "stop")]),
    "cut by length": (
        [
            event("output_text.delta", delta="He"),
            ended("incomplete", incomplete_details={"reason": "max_output_tokens"}),
        ],
        [opening(), chunk({"content": "He"}), chunk({}, "length")],
    ),
    "cut by the filter": (
        [ended("incomplete", incomplete_details={"reason": "content_filter"})],
        [opening(), chunk({}, "content_filter")],
    ),
    "two calls": (
        [
            event("output_item.added", item=CALL),
            event("function_call_arguments.delta", delta='{"a"'),
            event("function_call_arguments.delta", delta=": 1}"),
            event("function_call_arguments.done", arguments='{"a": 1}'),
            event("output_item.done", item={**CALL, "arguments": '{"a": 1}'}),
            event("output_item.added", item=CUSTOM, output_index=1),
            event("custom_tool_call_input.delta", delta="1 + 1", output_index=1),
            event("custom_tool_call_input.done", input="1 + 1", output_index=1),
            ended(),
        ],
        [
            opening(None),
            chunk(called(0, id="call_1", type="function", function={"name": "f", "arguments": ""})),
            chunk(called(0, function={"arguments": '{"a"'})),
            chunk(called(0, function={"arguments": ": 1}"})),
            chunk(called(1, id="call_2", type="custom", custom={"name": "code", "input": ""})),
            chunk(called(1, custom={"input": "1 + 1"})),
            chunk({}, "tool_calls"),
        ],
    ),
    "calls whose deltas come by turns": (
        [
            event("output_item.added", item=CALL),
            event("output_item.added", item={**CALL, "call_id": "call_3"}, output_index=1),
            event("function_call_arguments.delta", delta="2", output_index=1),
            event("function_call_arguments.delta", delta="1"),
            ended(),
        ],
        [
            opening(None),
            chunk(called(0, id="call_1", type="function", function={"name": "f", "arguments": ""})),
            chunk(called(1, id="call_3", type="function", function={"name": "f", "arguments": ""})),
            chunk(called(1, function={"arguments": "2"})),
            chunk(called(0, function={"arguments": "1"})),
            chunk({}, "tool_calls"),
        ],
    ),
    "a call after text": (
        [event("output_text.delta", delta="Hm."), event("output_item.added", item=CALL, output_index=1), ended()],
        [
            opening(),
            chunk({"content": "Hm."}),
            chunk(called(0, id="call_1", type="function", function={"name": "f", "arguments": ""})),
            chunk({}, "tool_calls"),
        ],
    ),
    "text that is only told when it is done": (
        [event("output_text.done", text="Hello"), ended()],
        [opening(), chunk({"content": "Hello"}), chunk({}, "stop")],
    ),
    "deltas that do not tell all": (
        [event("output_text.delta", delta="He"), event("output_text.done", text="Hello"), ended()],
        [opening(), chunk({"content": "He"}), chunk({"content": "llo"}), chunk({}, "stop")],
    ),
    "a call that is only told when it is done": (
        [
            event("function_call_arguments.delta", delta="{}"),
            event("output_item.done", item={**CALL, "arguments": "{}"}),
            ended(),
        ],
        [
            opening(None),
            chunk(called(0, id="call_1", type="function", function={"name": "f", "arguments": ""})),
            chunk(called(0, function={"arguments": "{}"})),
            chunk({}, "tool_calls"),
        ],
    ),
    "all that is only told at the end": (
        [
            ended(
                output=[
                    {"type": "reasoning", "summary": []},
                    {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
                ]
            )
        ],
        [opening(), chunk({"content": "Hi"}), chunk({}, "stop")],
    ),
    "items that are counted otherwise at the end": (
        [
            event("output_text.delta", delta="Hi"),
            event("output_item.added", item=CALL, output_index=1),
            event("function_call_arguments.delta", delta="{}", output_index=1),
            ended(
                output=[
                    {"type": "reasoning", "summary": []},
                    {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
                    {**CALL, "arguments": "{}"},
                ]
            ),
        ],
        [
            opening(),
            chunk({"content": "Hi"}),
            chunk(called(0, id="call_1", type="function", function={"name": "f", "arguments": ""})),
            chunk(called(0, function={"arguments": "{}"})),
            chunk({}, "tool_calls"),
        ],
    ),
    "items that are not counted": (
        [
            {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "Hi"},
            {"type": "response.output_text.done", "item_id": "msg_1", "text": "Hi"},
            {"type": "response.output_item.added", "item": CALL},
            {"type": "response.output_item.added", "item": {**CALL, "id": "fc_2", "call_id": "call_2"}},
            {"type": "response.function_call_arguments.delta", "item_id": "fc_2", "delta": "2"},
            {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": "1"},
            ended(),
        ],
        [
            opening(),
            chunk({"content": "Hi"}),
            chunk(called(0, id="call_1", type="function", function={"name": "f", "arguments": ""})),
            chunk(called(1, id="call_2", type="function", function={"name": "f", "arguments": ""})),
            chunk(called(1, function={"arguments": "2"})),
            chunk(called(0, function={"arguments": "1"})),
            chunk({}, "tool_calls"),
        ],
    ),
    "citations, which are told once": (
        [
            event("output_text.delta", delta="One"),
            event("output_text.annotation.added", annotation={"type": "url_citation", "url": "https://example.com"}),
            event(
                "output_item.done",
                item={
                    "type": "message",
                    "content": [
                        {
                            "type": "output_text",
                            "text": "One",
                            "annotations": [{"type": "url_citation", "url": "https://example.com", "start_index": 0}],
                        }
                    ],
                },
            ),
            ended(),
        ],
        [
            opening(),
            chunk({"content": "One"}),
            chunk(
                {
                    "annotations": [
                        {"type": "url_citation", "url_citation": {"url": "https://example.com", "start_index": 0}}
                    ]
                }
            ),
            chunk({}, "stop"),
        ],
    ),
    "obfuscation": (
        [event("output_text.delta", delta="a", obfuscation="xyz"), ended()],
        [opening(), chunk({"content": "a"}, obfuscation="xyz"), chunk({}, "stop")],
    ),
    "reasoning, which a chat does not tell": (
        [
            event("output_item.added", item={"type": "reasoning", "id": "rs_1", "summary": []}),
            event("reasoning_summary_text.delta", delta="hm"),
            event("reasoning_text.delta", delta="hm"),
            event("output_text.delta", delta="a", output_index=1),
            ended(),
        ],
        [opening(), chunk({"content": "a"}), chunk({}, "stop")],
    ),
}


@pytest.mark.parametrize("row", STREAMS)
def test_a_stream_is_translated(row):
    """By the table; and the SDK reads each chunk."""
    events, expected = STREAMS[row]
    chunks = told([CREATED, *events])
    assert chunks == expected
    for one in chunks:
        if "custom" not in str(one):  # the SDK's type of a chunk knows functions only
            ChatCompletionChunk.model_validate(one)
