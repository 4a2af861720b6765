"""Any answer: streamed, translated and put together again it is the plain one."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmstack._wire.assembly import assembly
from llmstack._wire.replay import replay
from llmstack._wire.sse import ServerSentEvent
from llmstack.transports._translation.chat_reply import chat_completion
from tests.transports.translation.chat_chunks import USAGE, Json, told

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
