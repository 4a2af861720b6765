"""The events of a streamed Response as the chunks of a streamed chat completion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from llmstack._wire.assembly import assembly
from llmstack._wire.replay import replay
from llmstack._wire.sse import ServerSentEvent
from llmstack.transports._translation.chat_chunks import ChatChunks
from llmstack.transports._translation.chat_reply import chat_completion

Json = dict[str, Any]

CREATED = {
    "type": "response.created",
    "response": {"id": "resp_1", "created_at": 5.0, "model": "m", "status": "in_progress"},
}
HEAD = {"id": "resp_1", "object": "chat.completion.chunk", "created": 5, "model": "m", "service_tier": None}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
ROW = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.5}]}
WHOLE_ROW = {
    "token": "a",
    "bytes": None,
    "logprob": -0.5,
    "top_logprobs": [{"token": "b", "bytes": None, "logprob": -1.5}],
}


def chunk(delta: Json, reason: str | None = None, logprobs: Json | None = None, **more: Any) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    return {**HEAD, "system_fingerprint": None, "choices": [choice], **more}


def opening(content: str | None = "") -> Json:
    return chunk({"role": "assistant", "content": content, "refusal": None})


def told(events: Iterable[Json], **params: Any) -> list[Json]:
    """All chunks of a stream."""
    translator = ChatChunks(params)
    return [chunk for event in events for chunk in translator.feed(event)] + translator.end()


def ended(kind: str = "completed", output: Sequence[Json] = (), **more: Any) -> Json:
    """The last event."""
    response = {"id": "resp_1", "created_at": 5.0, "model": "m", "status": kind, "output": list(output), "usage": USAGE}
    return {"type": f"response.{kind}", "response": {**response, **more}}


def event(kind: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}", "output_index": 0, "content_index": 0, **fields}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}
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


def test_usage_if_asked_for():
    """In a chunk of its own, and null in the others."""
    chunks = told([CREATED, ended()], stream_options={"include_usage": True})
    assert [one["usage"] for one in chunks] == [
        None,
        None,
        {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    ]
    assert chunks[-1]["choices"] == []
    assert all("usage" not in one for one in told([CREATED, ended()]))


def test_log_probabilities_if_asked_for():
    """The deltas of Responses have them without bytes."""
    events = [CREATED, event("output_text.delta", delta="a", logprobs=[ROW]), ended()]
    assert told(events, logprobs=True)[1] == chunk({"content": "a"}, None, {"content": [WHOLE_ROW], "refusal": None})
    assert told(events)[1] == chunk({"content": "a"})


def test_a_program_that_knows_functions_only():
    """One call, without id."""
    events = [
        CREATED,
        event("output_item.added", item=CALL),
        event("function_call_arguments.delta", delta="{}"),
        event("output_item.added", item=CALL, output_index=1),
        event("function_call_arguments.delta", delta="{}", output_index=1),
        ended(),
    ]
    assert told(events, functions=[{"name": "f"}]) == [
        opening(None),
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    ]


def test_what_moderation_found_is_on_the_last_chunk():
    """As in a plain answer."""
    result = {"type": "moderation_result", "model": "omni"}
    chunks = told([CREATED, ended(moderation={"input": result, "output": result})])
    found = {"type": "moderation_results", "model": "omni", "results": [result]}
    assert chunks[-1]["moderation"] == {"input": found, "output": found}


ERRORS: dict[str, tuple[Json, Json]] = {
    "an error event": (
        {"type": "error", "code": "server_error", "message": "Sorry", "param": None, "sequence_number": 3},
        {"code": "server_error", "message": "Sorry", "param": None},
    ),
    "an error event as other endpoints have it": (
        {"type": "error", "error": {"code": "x", "message": "Sorry"}},
        {"code": "x", "message": "Sorry"},
    ),
    "an error without a type": ({"error": {"message": "Sorry"}}, {"message": "Sorry"}),
    "an error that is a word": ({"error": "Sorry"}, {"message": "Sorry", "code": None}),
    "a failed response": (
        ended("failed", error={"code": "rate_limit_exceeded", "message": "Slowly"}),
        {"code": "rate_limit_exceeded", "message": "Slowly"},
    ),
    "a failed response that does not say why": (
        ended("failed"),
        {"message": "The response has the status 'failed' and no answer.", "code": None},
    ),
}


@pytest.mark.parametrize("row", ERRORS)
def test_an_error_ends_the_stream(row):
    """In the form for which the SDK raises; nothing follows it."""
    failure, expected = ERRORS[row]
    translator = ChatChunks({})
    translator.feed(CREATED)
    translator.feed(event("output_text.delta", delta="a"))
    assert translator.feed(failure) == [{"error": expected}]
    assert (translator.failed, translator.done) == (True, False)
    assert translator.feed(ended()) == []


def test_a_stream_that_is_cut_short_is_not_made_whole():
    """No finish reason, and no [DONE] after it."""
    translator = ChatChunks({})
    translator.feed(event("output_text.delta", delta="a"))
    assert translator.end() == []
    assert not translator.done


KINDS = [get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(get_args(ResponseStreamEvent)[0])]


@pytest.mark.parametrize("kind", [*KINDS, "response.not.yet.known", None, 3])
def test_every_event_of_the_sdk_with_nothing_in_it_does_no_harm(kind):
    """Nor do those that are not known yet."""
    chunks = told(
        [{"type": kind}, {"type": kind, "item": 3, "delta": 3, "response": 3, "part": 3, "output_index": "x"}]
    )
    assert all("error" in one for one in chunks) if kind == "error" else chunks == []


# Any answer: streamed and put together again it is the plain one ---------------------------------------------------

texts = st.text(alphabet="ab \u20ac\U0001f600", max_size=12)


def _text_part(text: str, cited: bool) -> Json:  # noqa: FBT001 - from a strategy
    citation = {"type": "url_citation", "url": "https://example.com", "title": "A", "start_index": 0, "end_index": 1}
    return {"type": "output_text", "text": text, "annotations": [citation] if cited else []}


parts = st.one_of(
    st.builds(_text_part, texts, st.booleans()),
    texts.filter(bool).map(lambda text: {"type": "refusal", "refusal": text}),
)
messages = st.lists(parts, min_size=1, max_size=3).map(
    lambda parts: {"type": "message", "role": "assistant", "status": "completed", "content": parts}
)
functions = texts.map(lambda text: {"type": "function_call", "call_id": "c", "name": "f", "arguments": text})
customs = texts.map(lambda text: {"type": "custom_tool_call", "call_id": "c", "name": "g", "input": text})
reasonings = texts.map(lambda text: {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]})


@st.composite
def responses(draw: st.DrawFn) -> Json:
    """A Response as it is replayed as a stream: every item with an id of its own."""
    output = draw(st.lists(messages | functions | customs | reasonings, max_size=4))
    for number, item in enumerate(output):
        item["id"] = f"item_{number}"
        if "call_id" in item:
            item["call_id"] = f"call_{number}"
    status = draw(st.sampled_from(["completed", "incomplete"]))
    head = {"id": "resp_1", "object": "response", "created_at": 5, "model": "m", "service_tier": "default"}
    details = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {**head, "status": status, "incomplete_details": details, "error": None, "output": output, "usage": USAGE}


@given(responses(), st.sets(st.integers(0, 60)))
def test_a_stream_put_together_again_is_the_plain_answer(response, missing):
    """Also if deltas are missing."""
    params = {"stream": True, "stream_options": {"include_usage": True}}
    events: list[Json] = [json.loads(event.data) for event in replay("responses", response, params)]
    kept = [e for at, e in enumerate(events) if at not in missing or not e["type"].endswith((".delta", ".added"))]
    seen = assembly("chat.completions")
    for one in told(kept, **params):
        seen.note(ServerSentEvent(data=json.dumps(one)))
    seen.note(ServerSentEvent(data="[DONE]"))
    seen.end()
    assert seen.complete()
    assert _normal(seen.body()) == _normal(chat_completion(response, params))


def _normal(completion: Any) -> Any:
    """A completion without what a stream cannot tell: whether there was no text, or an empty one."""
    message = completion["choices"][0]["message"]
    fields = {**message, "content": message["content"] or None, "annotations": message.get("annotations") or []}
    return {**completion, "choices": [{**completion["choices"][0], "message": fields}]}
