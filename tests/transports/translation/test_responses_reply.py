"""A chat completion as a response."""

from typing import Any

import pytest
from hypothesis import given
from openai.types.responses import Response

from llmstack.transports._translation.responses_body import suffix_of
from llmstack.transports._translation.responses_reply import response_body
from tests.transports.translation.responses_completions import (
    PARAMS,
    citation,
    completion,
    completions,
    custom,
    function,
    logprob,
)

Json = dict[str, Any]


def output(message: Json, **more: Any) -> list[Json]:
    """The output for a message."""
    return response_body(completion(message, **more), PARAMS)["output"]


def test_the_whole_body():
    """Every field, those that the request is repeated in too."""
    body = response_body(completion({"content": "Hi"}), PARAMS)
    text = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
    message = {"id": "msg_7_0", "type": "message", "status": "completed", "role": "assistant", "content": [text]}
    assert body == {
        "id": "resp_7",
        "object": "response",
        "created_at": 1_700_000_000,
        "completed_at": None,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "background": False,
        "instructions": "Be brief",
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": "gpt-5-mini-2026",
        "output": [message],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "temperature": 1,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [{"type": "function", "name": "weather", "parameters": None, "strict": None}],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 14,
        },
        "user": None,
    }
    assert Response.model_validate(body, strict=True).output_text == "Hi"


def test_what_was_asked_is_repeated():
    """As the API does: what was given in place of what is usual."""
    asked = {
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low", "summary": None},
        "text": {"verbosity": "low"},
        "tool_choice": {"type": "function", "name": "weather"},
        "max_output_tokens": 5,
        "user": "ann",
    }
    body = response_body(completion({"content": "Hi"}), {**PARAMS, **asked})
    told = {name: body[name] for name in asked}
    assert told == {**asked, "text": {"format": {"type": "text"}, "verbosity": "low"}}


def test_no_two_responses_share_what_is_usual():
    """A program may change its own."""
    first, second = (response_body(completion({"content": "Hi"}), {}) for _ in range(2))
    first["metadata"]["mine"] = "1"
    first["text"]["format"]["type"] = "mine"
    assert second["metadata"] == {}
    assert second["text"]["format"] == {"type": "text"}


ITEMS: list[tuple[str, Json, list[Json]]] = [
    ("nothing", {"content": None}, []),
    ("an empty text", {"content": ""}, []),
    (
        "a refusal",
        {"refusal": "No"},
        [
            {
                "id": "msg_7_0", "type": "message", "status": "completed", "role": "assistant",
                "content": [{"type": "refusal", "refusal": "No"}],
            }
        ],
    ),
    (
        "calls",
        {"tool_calls": [function(arguments='{"a": 1}'), custom()]},
        [
            {
                "id": "fc_7_0", "type": "function_call", "status": "completed", "call_id": "call_1",
                "name": "weather", "arguments": '{"a": 1}',
            },
            {
                "id": "ctc_7_1", "type": "custom_tool_call", "status": "completed", "call_id": "call_2",
                "name": "shell", "input": "ls",
            },
        ],
    ),
    (
        "arguments that are no text, and no id",
        {"tool_calls": [{"function": {"name": "weather", "arguments": {"a": 1}}}]},
        [
            {
                "id": "fc_7_0", "type": "function_call", "status": "completed", "call_id": "call_7_0",
                "name": "weather", "arguments": '{"a":1}',
            }
        ],
    ),
    ("calls of nothing", {"tool_calls": None}, []),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), [row[1:] for row in ITEMS], ids=[row[0] for row in ITEMS])
def test_items(message, expected):
    """Row by row."""
    assert output(message) == expected


def test_everything_at_once_in_its_order():
    """Thoughts, what is said, what is called."""
    items = output({"content": "Hi", "refusal": "No", "reasoning": "Hm", "tool_calls": [function()]})
    assert [item["id"] for item in items] == ["rs_7_0", "msg_7_1", "fc_7_2"]
    assert [part["type"] for part in items[1]["content"]] == ["output_text", "refusal"]


@pytest.mark.parametrize("names", [["reasoning"], ["reasoning_content"], ["reasoning", "reasoning_content"]])
def test_thoughts(names):
    """Under either name, or both."""
    content = [{"type": "reasoning_text", "text": "Hm"}]
    rest = {"id": "rs_7_0", "type": "reasoning", "status": "completed", "summary": [], "encrypted_content": None}
    assert output(dict.fromkeys(names, "Hm")) == [{**rest, "content": content}]


def test_citations_and_log_probabilities():
    """In the form of the other API; a server may leave out what it does not know."""
    message = {"content": "Hi", "annotations": [citation(), {"type": "url_citation", "url_citation": {"url": "u"}}]}
    bare = {"token": "i", "logprob": -1, "bytes": None}
    (item,) = output(message, logprobs={"content": [logprob("H"), bare]})
    (part,) = item["content"]
    cited = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "t", "url": "https://example.com"}
    assert part["annotations"] == [cited, {**cited, "end_index": 0, "title": "", "url": "u"}]
    row = {"token": "H", "bytes": [72], "logprob": -0.5}
    assert part["logprobs"] == [
        {**row, "top_logprobs": [row]},
        {"token": "i", "bytes": [], "logprob": -1, "top_logprobs": []},
    ]


def test_content_in_parts():
    """As some servers send it."""
    (item,) = output({"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]})
    assert item["content"][0]["text"] == "Hello"


ENDS: list[tuple[str | None, str, Any]] = [
    ("stop", "completed", None),
    ("tool_calls", "completed", None),
    (None, "completed", None),
    ("eos", "completed", None),
    ("length", "incomplete", {"reason": "max_output_tokens"}),
    ("content_filter", "incomplete", {"reason": "content_filter"}),
    ("error", "failed", None),
]


@pytest.mark.parametrize(("finish", "status", "details"), ENDS)
def test_how_it_ended(finish, status, details):
    """The last item is what was cut short, if something was."""
    body = response_body(completion({"content": "Hi", "reasoning": "Hm"}, finish=finish), PARAMS)
    assert (body["status"], body["incomplete_details"]) == (status, details)
    last = "completed" if status == "completed" else "incomplete"
    assert [item["status"] for item in body["output"]] == ["completed", last]
    assert (body["error"] is not None) == (status == "failed")


def test_what_failed_is_told():
    """By the gateway's own words, if it has any."""
    whole = completion({"content": "Hi"}, finish="error")
    assert response_body(whole, {})["error"]["message"] == "The server failed to finish the answer."
    whole["choices"][0]["error"] = {"code": 502, "message": "No provider"}
    assert response_body(whole, {})["error"] == {"code": "server_error", "message": "No provider"}


USAGES: list[tuple[Any, Any]] = [
    (None, None),
    ({}, None),
    ({"prompt_tokens": None}, None),
    ({"prompt_tokens": -1, "completion_tokens": "5"}, None),
    ({"prompt_tokens": 3, "completion_tokens": 2}, (3, 0, 0, 2, 0, 5)),
    ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9}, (3, 0, 0, 2, 0, 9)),
    ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": None}, (3, 0, 0, 2, 0, 5)),
    (
        {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": "x"}},
        (3, 3, 0, 0, 0, 3),
    ),
    ({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0, 0, 0, 0, 0)),
]


@pytest.mark.parametrize(("given_usage", "expected"), USAGES)
def test_usage(given_usage, expected):
    """What makes no sense is none, so that whoever needs a number estimates it."""
    usage = response_body(completion({"content": "Hi"}, usage=given_usage), PARAMS)["usage"]
    if expected is not None:
        into, cached, written, out, thought, total = expected
        expected = {
            "input_tokens": into,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "output_tokens": out,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": total,
        }
    assert usage == expected


@pytest.mark.parametrize(
    "body", [{}, {"choices": []}, {"choices": [None]}, {"choices": [{}]}, {"id": None, "created": "x"}]
)
def test_an_odd_answer_is_a_response_all_the_same(body):
    """Of nothing, by the model that was asked."""
    response = Response.model_validate(response_body(body, PARAMS), strict=True)
    assert (response.output, response.model, response.created_at) == ([], "gpt-5-mini", 0)


def test_the_first_choice_is_the_answer():
    """Wherever it stands."""
    whole = completion({"content": "first"})
    second = {**completion({"content": "second"})["choices"][0], "index": 1}
    whole["choices"].insert(0, second)
    assert response_body(whole, {})["output"][0]["content"][0]["text"] == "first"


def test_what_else_a_server_tells_is_kept():
    """Its fingerprint and its tier; but nothing that would take the place of a response's own fields."""
    more = {"system_fingerprint": "fp", "service_tier": "flex", "provider": "acme", "status": "odd", "output": "odd"}
    body = response_body(completion({"content": "Hi"}, **more), PARAMS)
    assert (body["system_fingerprint"], body["service_tier"], body["provider"]) == ("fp", "flex", "acme")
    assert (body["status"], len(body["output"])) == ("completed", 1)


IDS: list[tuple[Any, str, str]] = [
    ("chatcmpl-abc", "", "abc"),
    ("gen-1/x y", "", "gen-1xy"),
    ("chatcmpl-abc", "f00", "abc_f00"),
    ("", "f00", "f00"),
    (None, "", "0"),
    ("x" * 500, "", "x" * 64),
]


@pytest.mark.parametrize(("own", "salt", "suffix"), IDS)
def test_ids(own, salt, suffix):
    """The completion's, and what sets the response apart: some servers give an id twice, or none."""
    assert suffix_of(own, salt) == suffix
    body = response_body(completion({"content": "Hi"}, id=own), {}, salt=salt)
    assert body["id"] == f"resp_{suffix}"
    assert body["output"][0]["id"] == f"msg_{suffix}_0"


@given(completions())
def test_any_completion_is_a_response_to_the_sdk(whole):
    """By its own types, strictly."""
    Response.model_validate(response_body(whole, PARAMS), strict=True)
