"""A Response as the chat completion that says the same."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from llmstack.transports._translation.chat_reply import chat_completion, problem

USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 14,
}


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A finished Response."""
    head = {"id": "resp_1", "object": "response", "created_at": 1700000000.5, "model": "gpt-5-mini"}
    rest = {"status": "completed", "error": None, "incomplete_details": None, "service_tier": "default"}
    return {**head, **rest, "output": list(output), "usage": USAGE, **more}


def message(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": list(parts),
        **more,
    }


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": said, "annotations": [], **more}


def cited(start: int, end: int) -> dict[str, Any]:
    """As Responses cite a page."""
    return {"type": "url_citation", "start_index": start, "end_index": end, "title": "A", "url": "https://example.com"}


def citing(start: int, end: int) -> dict[str, Any]:
    """As chat completions do."""
    page = {"start_index": start, "end_index": end, "title": "A", "url": "https://example.com"}
    return {"type": "url_citation", "url_citation": page}


def choice(reason: str = "stop", **fields: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "refusal": None, "annotations": [], **fields}
    return {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}


REASONING = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}
CALL = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a": 1}'}
CUSTOM = {"id": "ct_1", "type": "custom_tool_call", "call_id": "call_2", "name": "code", "input": "1 + 1"}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CUSTOM_CALLED = {"id": "call_2", "type": "custom", "custom": {"name": "code", "input": "1 + 1"}}
OLD = {"functions": [{"name": "f"}]}

OUTPUTS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "text": ([message(text("Hello"))], choice(content="Hello")),
    "no text": ([message(text(""))], choice(content="")),
    "nothing": ([], choice()),
    "text after reasoning": ([REASONING, message(text("Hello"))], choice(content="Hello")),
    "text in two messages": (
        [message(text("Let me see. "), phase="commentary"), SEARCH, message(text("It is so."))],
        choice(content="Let me see. It is so."),
    ),
    "refusal": ([message({"type": "refusal", "refusal": "no"})], choice(refusal="no")),
    "calls": ([CALL, CUSTOM], choice("tool_calls", tool_calls=[CALLED, CUSTOM_CALLED])),
    "text and a call": ([message(text("Hm.")), CALL], choice("tool_calls", content="Hm.", tool_calls=[CALLED])),
    "citations": (
        [message(text("One. ", annotations=[cited(0, 3)]), text("Two.", annotations=[cited(0, 3)]))],
        choice(content="One. Two.", annotations=[citing(0, 3), citing(5, 8)]),
    ),
    "citations of files": (
        [message(text("x", annotations=[{"type": "file_citation", "file_id": "file-1", "index": 0}]))],
        choice(content="x"),
    ),
}


@pytest.mark.parametrize("row", OUTPUTS)
def test_an_output_becomes_the_only_choice(row):
    """By the table; and the SDK reads it."""
    output, expected = OUTPUTS[row]
    completion = chat_completion(response(*output), {})
    assert completion["choices"] == [expected]
    ChatCompletion.model_validate(completion)


def test_the_rest_of_a_completion():
    """Identity, time and usage."""
    completion = chat_completion(response(), {})
    del completion["choices"]
    assert completion == {
        "id": "resp_1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-5-mini",
        "service_tier": "default",
        "system_fingerprint": None,
        "usage": {
            "prompt_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
            "completion_tokens": 5,
            "completion_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 14,
        },
    }


ENDS: dict[str, tuple[dict[str, Any], str]] = {
    "max_output_tokens": ({"reason": "max_output_tokens"}, "length"),
    "content_filter": ({"reason": "content_filter"}, "content_filter"),
    "anything else": ({"reason": "max_messages"}, "length"),
}


@pytest.mark.parametrize("row", ENDS)
@pytest.mark.parametrize("output", [[message(text("Hel"))], [CALL]], ids=["text", "call"])
def test_an_answer_that_was_cut_short_says_why(row, output):
    """Also if what was cut short is a call, whose arguments may be incomplete."""
    details, reason = ENDS[row]
    cut = response(*output, status="incomplete", incomplete_details=details)
    assert problem(cut) is None
    assert chat_completion(cut, {})["choices"][0]["finish_reason"] == reason


def test_incomplete_for_no_reason():
    """Some servers do not say."""
    assert chat_completion(response(status="incomplete"), {})["choices"][0]["finish_reason"] == "length"


def test_a_program_that_knows_functions_only_gets_a_function_call():
    """The first one; it asked for one at most."""
    completion = chat_completion(response(CALL, CALL), OLD)
    function = {"name": "f", "arguments": '{"a": 1}'}
    assert completion["choices"] == [choice("function_call", function_call=function)]


ROW = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": [{"token": "a", "bytes": [97], "logprob": -0.5}]}


def test_log_probabilities_of_all_parts_if_asked_for():
    """They have the same form in both."""
    body = response(message(text("a", logprobs=[ROW]), text("a", logprobs=[ROW])))
    assert chat_completion(body, {"logprobs": True})["choices"][0]["logprobs"] == {
        "content": [ROW, ROW],
        "refusal": None,
    }
    assert chat_completion(body, {})["choices"][0]["logprobs"] is None
    assert chat_completion(response(CALL), {"logprobs": True})["choices"][0]["logprobs"] is None


def test_what_moderation_found():
    """One result there, a list of one here."""
    result = {"type": "moderation_result", "model": "omni", "flagged": False, "categories": {}}
    error = {"type": "error", "code": "x", "message": "y"}
    found = chat_completion(response(moderation={"input": result, "output": error}), {})["moderation"]
    assert found == {"input": {"type": "moderation_results", "model": "omni", "results": [result]}, "output": error}
    assert "moderation" not in chat_completion(response(moderation=None), {})


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, None),
        ({"status": "incomplete"}, None),
        ({"status": None}, None),
        (
            {"status": "failed", "error": {"code": "server_error", "message": "Sorry"}},
            {"code": "server_error", "message": "Sorry"},
        ),
        ({"error": "Sorry"}, {"message": "Sorry", "code": None}),
        ({"status": "failed"}, {"message": "The response has the status 'failed' and no answer.", "code": None}),
        ({"status": "queued"}, {"message": "The response has the status 'queued' and no answer.", "code": None}),
    ],
)
def test_a_response_that_is_no_answer(more, expected):
    """Failed, or not yet there."""
    assert problem(response(**more)) == expected


@pytest.mark.parametrize(
    "odd",
    [
        {"output": None},
        {"output": [None, 3, {}, {"type": "message"}, {"type": "message", "content": 3}]},
        {"output": [{"type": "message", "content": [None, {}, {"type": "output_text"}]}]},
        {"output": [{"type": "function_call"}, {"type": "custom_tool_call", "input": 3}]},
        {"output": [message(text("x", annotations=3, logprobs=3))]},
        {"output": [message(text("x", annotations=[{"type": "url_citation"}], logprobs=[3, {}]))]},
        {"usage": 3, "created_at": "x", "model": None, "id": None},
        {"usage": None, "moderation": {"input": 3}},
        {"status": "incomplete", "incomplete_details": 3},
    ],
    ids=repr,
)
def test_odd_bodies_do_no_harm(odd):
    """Servers send anything."""
    completion = chat_completion({**response(), **odd}, {"logprobs": True})
    assert len(completion["choices"]) == 1
    assert completion["choices"][0]["message"]["role"] == "assistant"
