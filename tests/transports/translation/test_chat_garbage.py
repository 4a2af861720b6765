"""Servers and programs send anything: the translations raise nothing, since judging it is not their business."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmstack._wire.replay import replay
from llmstack.transports._translation.chat_chunks import ChatChunks
from llmstack.transports._translation.chat_reply import chat_completion, problem
from llmstack.transports._translation.chat_request import responses_request
from llmstack.transports._translation.untranslatable import Losses

SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}
REQUEST: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "a", "name": "b"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://example.com"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "a", "prompt_cache_breakpoint": {}}],
            "refusal": "no",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ],
            "function_call": {"name": "f", "arguments": "{}"},
        },
        {"role": "tool", "tool_call_id": "2", "content": "x"},
        {"role": "function", "name": "f", "content": "x"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {}}},
        {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}}},
    ],
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"type": "function", "function": {}}]}},
    "response_format": SCHEMA,
    "verbosity": "low",
    "reasoning_effort": "low",
    "max_tokens": 1,
    "max_completion_tokens": 2,
    "logprobs": True,
    "include": ["x"],
    "web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "Rome"}}},
    "stream_options": {"include_usage": True},
    "n": 1,
    "stop": [],
    "modalities": ["text"],
}
ROW = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}]}
CITATION = {"type": "url_citation", "url": "https://example.com", "start_index": 0, "end_index": 1}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1.5,
    "model": "m",
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens"},
    "error": None,
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "a", "annotations": [CITATION], "logprobs": [ROW]},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"id": "fc_1", "type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"id": "ct_1", "type": "custom_tool_call", "call_id": "2", "name": "g", "input": "x"},
    ],
    "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1},
    "moderation": {"input": {"type": "moderation_result", "model": "m"}, "output": {"type": "error"}},
}
EVENTS: list[dict[str, Any]] = [
    *(json.loads(event.data) for event in replay("responses", RESPONSE, {"stream": True})),
    {"type": "error", "code": "x", "message": "Sorry"},
    {"type": "response.failed", "response": {**RESPONSE, "status": "failed", "error": {"code": "x", "message": "y"}}},
]

garbage = st.sampled_from(
    [None, True, 0, -1, 1.5, float("nan"), float("inf"), "", "x", [], {}, [1], [[]], {"type": []}]
)
Path = tuple[Any, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The way to everything in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield (*path, key)
        yield from places(entry, (*path, key))


def spoilt(good: Any) -> st.SearchStrategy[Any]:
    """The same with garbage in up to three places."""
    one = st.tuples(st.sampled_from(list(places(good))), garbage)
    return st.lists(one, max_size=3).map(lambda changes: _changed(good, changes))


def _changed(good: Any, changes: list[tuple[Path, Any]]) -> Any:
    value = copy.deepcopy(good)
    for path, bad in changes:
        owner = value
        try:
            for key in path[:-1]:
                owner = owner[key]
            owner[path[-1]] = copy.deepcopy(bad)
        except (TypeError, KeyError, IndexError):
            continue  # garbage has taken its place
    return value


@given(spoilt(REQUEST))
def test_any_request(params: Any) -> None:
    """What comes out is JSON still, with what is the same in both."""
    body = responses_request(params, Losses())
    assert json.dumps(body["model"]) == json.dumps(params["model"])
    assert json.dumps(body)


@given(spoilt(RESPONSE), spoilt(REQUEST))
def test_any_body(body: Any, params: Any) -> None:
    """A server may say anything with a 200."""
    assert json.dumps([problem(body), chat_completion(body, params)])


@given(spoilt(EVENTS), spoilt(REQUEST), st.randoms(use_true_random=False), st.booleans())
def test_any_events(stream: Any, params: Any, random: Any, shuffled: Any) -> None:
    """In any order; nothing follows an error or the end."""
    chunks = ChatChunks(params)
    stream = [event for event in stream if isinstance(event, dict)]
    if shuffled:
        random.shuffle(stream)
    for event in stream:
        over = chunks.done or chunks.failed
        told = chunks.feed(event)
        assert json.dumps(told)
        assert not (over and told)
    assert chunks.end() == []
