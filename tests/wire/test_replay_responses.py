"""Responses as streams: the same reply again, events of the SDK's types in the documented order, which it accepts."""

from __future__ import annotations

from typing import Any, get_args

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent

from llmstack._wire.assembly import assembly
from llmstack._wire.replay import replay
from llmstack._wire.sse import encode

TYPES = {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(ResponseStreamEvent)[0])}
USAGE = {
    "input_tokens": 9, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12,
}  # fmt: skip
LOGPROBS = [{"token": "H", "bytes": [72], "logprob": -0.5, "top_logprobs": []}]
CITATION = {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "t", "url": "u"}
TEXT = {"type": "output_text", "text": "Hello \u20ac", "annotations": [CITATION], "logprobs": LOGPROBS}
REFUSAL = {"type": "refusal", "refusal": "I'm sorry"}
ITEMS: dict[str, dict[str, Any]] = {
    "reasoning": {
        "id": "rs_1", "type": "reasoning", "status": "completed",
        "summary": [{"type": "summary_text", "text": "Think."}],
        "content": [{"type": "reasoning_text", "text": "Really."}], "encrypted_content": "xx",
    },
    "silent reasoning": {"id": "rs_2", "type": "reasoning", "summary": []},
    "message": {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [TEXT]},
    "refusal": {
        "id": "msg_2", "type": "message", "role": "assistant", "status": "completed", "content": [TEXT, REFUSAL],
    },
    "empty": {"id": "msg_3", "type": "message", "role": "assistant", "status": "incomplete", "content": []},
    "call": {
        "id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}',
        "status": "completed",
    },
    "call without id": {"type": "function_call", "call_id": "d", "name": "f", "arguments": ""},
    "custom": {"id": "ct_1", "type": "custom_tool_call", "call_id": "e", "name": "f", "input": "some input"},
    "search": {
        "id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"},
    },
    "image": {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "AAAA"},
    "mcp": {"id": "mcp_1", "type": "mcp_call", "arguments": "{}", "name": "n", "server_label": "s", "output": "o"},
}  # fmt: skip


def response(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A response."""
    return {
        "id": "resp_1", "object": "response", "created_at": 1700000000, "status": "completed", "error": None,
        "incomplete_details": None, "instructions": None, "metadata": {}, "model": "gpt-5-mini", "output": list(items),
        "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "usage": USAGE, **more,
    }  # fmt: skip


BODIES = {
    **{name: response(item) for name, item in ITEMS.items()},
    "all": response(*ITEMS.values()),
    "nothing": response(),
    "incomplete": response(ITEMS["message"], status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    "failed": response(status="failed", error={"code": "server_error", "message": "m"}, usage=None),
    "cancelled": response(ITEMS["message"], status="cancelled"),
}


@pytest.mark.parametrize("piece", [0, 1, 4])
@pytest.mark.parametrize("name", BODIES)
def test_the_reply_comes_back(name: str, piece: int) -> None:
    """Assembling gives the body; every event is of the SDK's type, named and numbered."""
    body = BODIES[name]
    Response.model_validate(body)
    events = replay("responses", body, {}, piece=piece)
    seen = assembly("responses")
    for at, event in enumerate(events):
        assert not seen.done
        assert seen.note(event) is None
        value = event.json()
        assert value["type"] == event.event
        assert value["sequence_number"] == at
        TYPES[value["type"]].model_validate(value)
    assert seen.done
    assert seen.complete()
    assert seen.body() == body
    assert seen.usage() == body["usage"]


@pytest.mark.parametrize("piece", [0, 4])
@pytest.mark.parametrize("name", ITEMS)
def test_the_items_can_be_put_together_from_their_events(name: str, piece: int) -> None:
    """Even without the terminal event, and for those that stream also without output_item.done."""
    item = ITEMS[name]
    events = replay("responses", BODIES[name], {}, piece=piece)
    for left_out in (1, 2):
        seen = assembly("responses")
        for event in events[:-left_out]:
            seen.note(event)
        body = seen.body()
        assert body is not None
        (got,) = body["output"]
        want = {**item, "status": "incomplete"} if left_out == 2 and got.get("status") == "incomplete" else item
        assert got == want


def test_the_documented_order() -> None:
    """The kinds of events, one after the other."""
    kinds = [
        event.event
        for event in replay("responses", response(*(ITEMS[x] for x in ("reasoning", "refusal", "call"))), {})
    ]
    assert kinds == ["response." + kind for kind in (
        "created", "in_progress",
        "output_item.added",
        "reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added", "output_text.delta", "output_text.annotation.added", "output_text.done",
        "content_part.done",
        "content_part.added", "refusal.delta", "refusal.done", "content_part.done",
        "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "completed",
    )]  # fmt: skip


def test_how_it_begins() -> None:
    """Without what is known only at the end."""
    created = replay("responses", BODIES["incomplete"], {})[0].json()["response"]
    assert created == response(status="in_progress", usage=None)


@pytest.mark.parametrize("status", ["queued", "in_progress", "whatever"])
def test_what_has_not_ended_cannot_be_replayed(status: str) -> None:
    """There is no event to end its stream."""
    with pytest.raises(ValueError, match=f"{status}' cannot be replayed"):
        replay("responses", response(status=status), {})


@pytest.mark.parametrize("piece", [0, 3])
@pytest.mark.parametrize("name", [name for name in BODIES if name not in ("incomplete", "failed", "cancelled")])
def test_the_sdks_own_stream_accepts_it(name: str, piece: int) -> None:
    """`responses.stream()` gathers the same response."""
    text = b"".join(encode(event) for event in replay("responses", BODIES[name], {}, piece=piece))
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=text, headers=headers))
    client = OpenAI(api_key="x", http_client=httpx2.Client(transport=transport), max_retries=0)
    with client.responses.stream(model="gpt-5-mini", input="x") as stream:
        texts = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.output_text == texts
    got = final.to_dict()
    assert [item.get("id") for item in got["output"]] == [  # type: ignore[index]
        item.get("id") for item in BODIES[name]["output"]
    ]
    assert got["usage"] == USAGE
    assert [event.type for event in client.responses.create(model="x", input="x", stream=True)] == [
        event.event for event in replay("responses", BODIES[name], {}, piece=piece)
    ]


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
parts = st.builds(lambda t: {**TEXT, "text": t}, text) | st.builds(lambda t: {**REFUSAL, "refusal": t}, text)
items = (
    st.builds(lambda c: {**ITEMS["message"], "content": c}, st.lists(parts, max_size=3))
    | st.builds(lambda t: {**ITEMS["reasoning"], "summary": [{"type": "summary_text", "text": t}]}, text)
    | st.builds(lambda t: {**ITEMS["call"], "arguments": t}, text)
    | st.sampled_from(list(ITEMS.values()))
)


@given(st.lists(items, max_size=4), st.integers(0, 5), st.data())
def test_any_reply_comes_back_or_is_cut_without_harm(
    found: list[dict[str, Any]], piece: int, data: st.DataObject
) -> None:
    """Whatever the items hold, and wherever the stream is cut."""
    body = response(*found)
    events = replay("responses", body, {}, piece=piece)
    seen = assembly("responses")
    for event in events:
        seen.note(event)
    assert seen.body() == body
    cut = data.draw(st.integers(1, len(events) - 1))
    part = assembly("responses")
    for event in events[:cut]:
        part.note(event)
    assert not part.complete()
    Response.model_validate(part.body())
