"""Responses, legacy completions and other endpoints from their events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion
from openai.types.responses import Response

from llmstack._wire.assembly import Assembly, assembly
from llmstack._wire.sse import ServerSentEvent

DONE = ServerSentEvent(data="[DONE]")
USAGE = {
    "input_tokens": 9, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12,
}  # fmt: skip
BASE: dict[str, Any] = {
    "id": "resp_1", "object": "response", "created_at": 1700000000, "status": "in_progress", "error": None,
    "incomplete_details": None, "instructions": None, "metadata": {}, "model": "gpt-5-mini", "output": [],
    "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": None,
}  # fmt: skip
REASONING = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Think."}]}
FILE = {"type": "file_path", "file_id": "f", "index": 0}
TEXT = {"type": "output_text", "text": "Hello", "annotations": [FILE]}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [TEXT]}
CALL = {
    "id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}', "status": "completed",
}  # fmt: skip
WHOLE = {**BASE, "status": "completed", "output": [REASONING, MESSAGE, CALL], "usage": USAGE}


def of(kind: str, index: int, whole: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An event about an item."""
    return {"type": f"response.{kind}", "output_index": index, "item_id": whole["id"], **more}


STREAM: list[dict[str, Any]] = [
    {"type": "response.created", "response": BASE},
    {"type": "response.in_progress", "response": BASE},
    of("output_item.added", 0, REASONING, item={**REASONING, "summary": []}),
    of("reasoning_summary_part.added", 0, REASONING, summary_index=0, part={"type": "summary_text", "text": ""}),
    of("reasoning_summary_text.delta", 0, REASONING, summary_index=0, delta="Thi"),
    of("reasoning_summary_text.delta", 0, REASONING, summary_index=0, delta="nk."),
    of("reasoning_summary_text.done", 0, REASONING, summary_index=0, text="Think."),
    of("reasoning_summary_part.done", 0, REASONING, summary_index=0, part={"type": "summary_text", "text": "Think."}),
    of("output_item.done", 0, REASONING, item=REASONING),
    of("output_item.added", 1, MESSAGE, item={**MESSAGE, "content": [], "status": "in_progress"}),
    of("content_part.added", 1, MESSAGE, content_index=0, part={**TEXT, "text": "", "annotations": []}),
    of("output_text.delta", 1, MESSAGE, content_index=0, delta="Hel", logprobs=[]),
    of("output_text.delta", 1, MESSAGE, content_index=0, delta="lo", logprobs=[]),
    of("output_text.annotation.added", 1, MESSAGE, content_index=0, annotation_index=0, annotation=FILE),
    of("output_text.done", 1, MESSAGE, content_index=0, text="Hello", logprobs=[]),
    of("content_part.done", 1, MESSAGE, content_index=0, part=TEXT),
    of("output_item.done", 1, MESSAGE, item=MESSAGE),
    of("output_item.added", 2, CALL, item={**CALL, "arguments": "", "status": "in_progress"}),
    of("function_call_arguments.delta", 2, CALL, delta='{"a"'),
    of("function_call_arguments.delta", 2, CALL, delta=":1}"),
    of("function_call_arguments.done", 2, CALL, arguments='{"a":1}'),
    of("output_item.done", 2, CALL, item=CALL),
    {"type": "response.completed", "response": WHOLE},
]


def events(values: list[dict[str, Any]]) -> list[ServerSentEvent]:
    """Events as OpenAI sends them, under the name of their type."""
    return [ServerSentEvent(value.get("type"), json.dumps(value)) for value in values]


def fed(values: list[dict[str, Any]], endpoint: str = "responses", **options: Any) -> Assembly:
    """An assembly that has seen these events."""
    seen = assembly(endpoint, **options)
    for event in events(values):
        assert seen.note(event) is None
    return seen


def test_the_terminal_event_has_it_all() -> None:
    """The body is its response, the usage its usage."""
    seen = fed(STREAM)
    assert seen.done
    assert seen.complete()
    assert seen.body() == WHOLE
    assert seen.usage() == USAGE
    Response.model_validate(seen.body())


@pytest.mark.parametrize("cut", range(len(STREAM)))
def test_cut_at_each_position(cut: int) -> None:
    """Never complete; what came is put together, marked incomplete, and valid."""
    seen = fed(STREAM[:cut])
    seen.end()
    assert not seen.done
    assert not seen.complete()
    assert seen.content is (cut > 4)
    body = seen.body()
    if cut == 0:
        assert body is None
        return
    assert body is not None
    Response.model_validate(body)
    assert body["status"] == "incomplete"
    assert all(item.get("status") in (None, "incomplete", "completed") for item in body["output"])
    assert seen.usage() is None


def test_what_a_cut_stream_keeps() -> None:
    """Finished items as they are, an unfinished one as far as it came."""

    def output(cut: int) -> list[Any]:
        body = fed(STREAM[:cut]).body()
        assert body is not None
        return list(body["output"])

    assert output(5) == [{**REASONING, "summary": [{"type": "summary_text", "text": "Thi"}]}]
    unfinished = {**MESSAGE, "status": "incomplete"}
    assert output(10) == [REASONING, {**unfinished, "content": []}]
    assert output(12) == [REASONING, {**unfinished, "content": [{**TEXT, "text": "Hel", "annotations": []}]}]
    assert output(14) == [REASONING, {**unfinished, "content": [TEXT]}]
    assert output(17) == [REASONING, MESSAGE]
    assert output(19) == [REASONING, MESSAGE, {**CALL, "status": "incomplete", "arguments": '{"a"'}]
    assert output(22) == [REASONING, MESSAGE, CALL]


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_every_terminal_event(status: str) -> None:
    """Each ends the reply; its error, if any, is the response's own and not the stream's."""
    last = {
        **WHOLE,
        "status": status,
        "error": {"code": "server_error", "message": "m"} if status == "failed" else None,
    }
    seen = fed([*STREAM[:-1], {"type": f"response.{status}", "response": last}])
    assert seen.done
    assert seen.complete()
    assert seen.body() == last
    assert seen.usage() == USAGE
    only = fed([{"type": f"response.{status}", "response": last}])
    assert only.content
    assert only.body() == last


def test_a_terminal_response_without_output() -> None:
    """The output then is what the events had, as for the SDK."""
    seen = fed([*STREAM[:-1], {"type": "response.completed", "response": {**WHOLE, "output": None}}])
    assert seen.complete()
    assert seen.body() == WHOLE


@pytest.mark.parametrize(
    ("kind", "more", "content"),
    [
        ("response.created", {"response": BASE}, False),
        ("response.queued", {"response": BASE}, False),
        ("response.in_progress", {"response": BASE}, False),
        ("response.output_item.added", {"item": MESSAGE}, False),
        ("response.content_part.added", {"part": TEXT}, False),
        ("response.web_search_call.searching", {}, False),
        ("response.output_item.done", {"item": {"type": "reasoning", "summary": []}}, False),
        ("response.output_item.done", {"item": MESSAGE}, True),
        ("response.content_part.done", {"part": TEXT}, True),
        ("response.output_text.done", {"text": "x"}, True),
        ("response.output_text.done", {"text": ""}, False),
        ("response.function_call_arguments.done", {"arguments": "{}"}, True),
        ("response.refusal.delta", {"delta": "x"}, True),
        ("response.audio.delta", {"delta": "x"}, True),
        ("response.image_generation_call.partial_image", {"partial_image_b64": "x"}, True),
        ("response.failed", {"response": BASE}, True),
    ],
)
def test_content(kind: str, more: dict[str, Any], *, content: bool) -> None:
    """Which events carry content, with the type in the data or only in the name."""
    assert fed([{"type": kind, **more}]).content is content
    seen = assembly("responses")
    seen.note(ServerSentEvent(kind, json.dumps(more)))
    assert seen.content is content


@pytest.mark.parametrize("after", [0, 2, 5, len(STREAM) - 1])
def test_error_events(after: int) -> None:
    """The API's own error event is returned whole, one with an "error" by that value."""
    own = {"type": "error", "code": "server_error", "message": "m", "param": None, "sequence_number": 3}
    seen = fed(STREAM[:after])
    assert seen.note(ServerSentEvent("error", json.dumps(own))) == own
    assert not seen.complete()
    seen = fed(STREAM[:after])
    assert seen.note(ServerSentEvent("error", '{"type": "error", "error": {"code": "c"}}')) == {"code": "c"}
    assert not seen.complete()


def test_malformed_events_and_the_limit() -> None:
    """A broken event makes the reply incomplete; beyond the limit all but the body stays right."""
    for at in (0, 6, len(STREAM)):
        seen = assembly("responses")
        for event in [*events(STREAM[:at]), ServerSentEvent(data="{"), *events(STREAM[at:])]:
            assert seen.note(event) is None
        assert seen.done
        assert not seen.complete()
        assert seen.body() == WHOLE
    small = fed(STREAM, limit=2000)
    assert small.content
    assert small.done
    assert small.complete()
    assert small.body() is None
    assert small.usage() == USAGE
    assert list(small.events()) == []


def completion(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A chunk of a legacy completion."""
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": list(choices), **more}


def test_legacy_completions() -> None:
    """Text by choice, logprobs extended, usage kept."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    logprobs = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0}], "text_offset": [0]}
    chunks = [
        completion({"index": 0, "text": "", "finish_reason": None, "logprobs": None}),
        completion({"index": 0, "text": "a", "finish_reason": None, "logprobs": logprobs}),
        completion({"index": 1, "text": "x", "finish_reason": None, "logprobs": None}),
        completion({"index": 0, "text": "a", "finish_reason": None, "logprobs": logprobs}),
        completion({"index": 1, "text": "", "finish_reason": "length", "logprobs": None}),
        completion({"index": 0, "text": "", "finish_reason": "stop", "logprobs": None}),
        completion(usage=usage),
    ]
    seen = fed(chunks, "completions", choices=2)
    seen.note(DONE)
    assert seen.complete()
    body = seen.body()
    assert body == {
        "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "usage": usage,
        "choices": [
            {"text": "aa", "index": 0, "finish_reason": "stop",
             "logprobs": {key: value * 2 for key, value in logprobs.items()}},
            {"text": "x", "index": 1, "finish_reason": "length", "logprobs": None},
        ],
    }  # fmt: skip
    Completion.model_validate(body)
    for cut in range(len(chunks)):
        part = fed(chunks[:cut], "completions", choices=2)
        assert part.content is (cut > 1)
        assert part.complete() is (cut == 6)


def test_other_endpoints() -> None:
    """Any event is content; a single one is the body; usage is found where it is kept."""
    one = {"a": 1}
    seen = fed([one], "whatever")
    assert seen.content
    assert seen.body() == one
    assert not seen.complete()
    seen.end()
    assert seen.complete()
    assert fed([one, one], "whatever").body() is None
    for held in ({"usage": {"t": 1}}, {"response": {"usage": {"t": 1}}}, {"data": {"usage": {"t": 1}}}):
        assert fed([one, held, {"usage": None}], "whatever").usage() == {"t": 1}
    only = assembly("whatever")
    only.note(DONE)
    assert not only.content
    assert only.complete()
    broken = fed([one], "whatever")
    broken.note(ServerSentEvent(data="{"))
    broken.end()
    assert not broken.complete()


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        ("audio.transcriptions", "transcript.text.done"),
        ("audio.speech", "speech.audio.done"),
        ("images.generations", "image_generation.completed"),
        ("images.edits", "image_edit.completed"),
    ],
)
def test_streams_that_close_with_an_event(endpoint: str, kind: str) -> None:
    """Their end alone does not make them whole."""
    seen = fed([{"type": "x.delta"}], endpoint)
    seen.end()
    assert not seen.complete()
    seen = fed([{"type": "x.delta"}, {"type": kind, "usage": {"t": 1}}], endpoint)
    assert seen.complete()
    assert seen.usage() == {"t": 1}


def test_assistants() -> None:
    """Named events are never errors to the SDK, whatever they hold; others are; [DONE] ends."""
    seen = assembly("threads.runs")
    assert seen.note(ServerSentEvent("thread.run.created", '{"error": {"code": "x"}}')) is None
    assert seen.note(ServerSentEvent("thread.run.completed", '{"id": "run_1", "usage": {"total_tokens": 3}}')) is None
    seen.end()
    assert not seen.complete()
    seen.note(ServerSentEvent("done", "[DONE]"))
    assert seen.complete()
    assert seen.usage() == {"total_tokens": 3}
    seen = assembly("threads.runs")
    assert seen.note(ServerSentEvent("error", '{"error": {"code": "x"}}')) == {"code": "x"}
