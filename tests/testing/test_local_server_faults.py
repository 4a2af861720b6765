"""Faults of content, with what the SDK makes of each: statuses, bodies, events."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import CompletionUsage

from llmstack.testing.local_server import LocalServer
from tests.testing.asking import HELLO, MODEL, ask, drain, stream


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (408, openai.APIStatusError),
        (409, openai.ConflictError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
        (418, openai.APIStatusError),
    ],
)
def test_statuses(server: LocalServer, client: OpenAI, status: int, kind: type[openai.APIStatusError]) -> None:
    """Each has the body the API sends with it."""
    server.next(status)
    with pytest.raises(kind) as caught:
        ask(client)
    assert caught.value.status_code == status
    assert caught.value.type
    assert "message" in str(caught.value.body)
    assert ask(client).choices


def test_codes_say_more_than_the_status(server: LocalServer, client: OpenAI) -> None:
    """A quota that is used up is no rate limit."""
    server.next(429, code="insufficient_quota", headers={"Retry-After": "1", "x-request-id": None})
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    assert caught.value.response.headers["retry-after"] == "1"
    assert caught.value.request_id is None
    server.next(400, code="context_length_exceeded")
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client)
    assert refused.value.param == "messages"


def test_content_filter_errors_look_like_azures(server: LocalServer, client: OpenAI) -> None:
    """With the inner error that says what was wrong."""
    server.next(400, code="content_filter", message="No.")
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client)
    assert caught.value.code == "content_filter"
    body: Any = caught.value.body
    assert body["message"] == "No."
    assert body["innererror"]["content_filter_result"]["violence"]["filtered"] is True


@pytest.mark.parametrize("body", [{"object": "chat.completion", "choices": []}, '{"choices": []}', b'{"choices": []}'])
def test_a_body_of_ones_own(server: LocalServer, client: OpenAI, body: Any) -> None:
    """As JSON, text or bytes."""
    server.next(200, body=body, headers={"content-type": "application/json"})
    assert ask(client).choices == []


def test_orders_are_taken_in_turn(server: LocalServer, client: OpenAI) -> None:
    """Each by the first request it fits, as many times as it says."""
    server.next(500, times=2)
    server.next(404, path="/models")
    server.next(429)
    statuses: list[int] = []
    for call in (ask, ask, ask, lambda c: c.models.list(), ask):
        try:
            call(client)
        except openai.APIStatusError as error:
            statuses.append(error.status_code)
        else:
            statuses.append(200)
    assert statuses == [500, 500, 429, 404, 200]


def test_an_order_may_stand_until_the_reset(server: LocalServer, client: OpenAI) -> None:
    """``times=None``."""
    server.next(500, times=None)
    for _ in range(3):
        with pytest.raises(openai.InternalServerError):
            ask(client)
    server.reset()
    assert ask(client).choices


def test_the_sdks_retries_are_seen(server: LocalServer, client: OpenAI) -> None:
    """Three sends for one call."""
    server.next(500, times=2, headers={"retry-after-ms": "1"})
    assert ask(client.with_options(max_retries=2)).choices
    assert server.count("/chat/completions") == 3
    assert [request.headers["x-stainless-retry-count"] for request in server.requests] == ["0", "1", "2"]


def test_half_a_document_is_no_json(server: LocalServer, client: OpenAI) -> None:
    """The SDK lets the decoder's own error through."""
    server.next(fault="truncated_json")
    with pytest.raises(json.JSONDecodeError):
        ask(client)


def test_an_empty_body_and_a_page(server: LocalServer, client: OpenAI) -> None:
    """The SDK returns a string for HTML."""
    server.next(fault="empty")
    with pytest.raises(json.JSONDecodeError):
        ask(client)
    server.next(fault="html")
    page: object = ask(client)
    assert isinstance(page, str)
    assert page.startswith("<!DOCTYPE html>")
    server.next(502, fault="html")
    with pytest.raises(openai.InternalServerError):
        ask(client)


def test_null_choices_and_an_errors_body(server: LocalServer, client: OpenAI) -> None:
    """The SDK takes both for a completion."""
    for fault in ("wrong_shape", "error_body"):
        server.next(fault=fault)
        choices: object = ask(client).choices
        assert choices is None
    server.next(200, body=[1, 2])
    listed: object = ask(client)
    assert listed == [1, 2]


@pytest.mark.parametrize("after", [None, 2])
def test_a_stream_without_an_end(server: LocalServer, client: OpenAI, after: int | None) -> None:
    """No finish reason, no error: the SDK calls it a success."""
    server.next(fault="no_finish", after=after)
    seen, error = drain(stream(client))
    assert error is None
    assert seen
    assert all(chunk.choices[0].finish_reason is None for chunk in seen)
    assert after is None or len(seen) == after


def test_responses_without_an_end(server: LocalServer, client: OpenAI) -> None:
    """The helper has no final response to give."""
    server.next(fault="no_finish")
    with client.responses.stream(model=MODEL, input="Hi") as events, pytest.raises(RuntimeError):
        events.get_final_response()


def test_an_event_of_broken_json(server: LocalServer, client: OpenAI) -> None:
    """The SDK lets the decoder's own error through."""
    server.next(fault="bad_json_event", after=2)
    seen, error = drain(stream(client))
    assert len(seen) == 2
    assert isinstance(error, json.JSONDecodeError)


@pytest.mark.parametrize("error", [None, "out of tokens", {"message": "out of tokens", "code": "rate_limit_exceeded"}])
def test_an_error_event(server: LocalServer, client: OpenAI, error: Any) -> None:
    """An object or a string; by default the body of a 500."""
    server.next(fault="error_event", after=1, error=error)
    seen, raised = drain(stream(client))
    assert len(seen) == 1
    assert isinstance(raised, openai.APIError)
    if isinstance(error, dict):
        assert (raised.message, raised.code) == ("out of tokens", "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ("missing", None),
        (None, None),
        ({"prompt_tokens": -5}, -5),
        ({"prompt_tokens": "many"}, "many"),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, 0),
    ],
)
def test_odd_usage(server: LocalServer, client: OpenAI, usage: Any, expected: object) -> None:
    """In a document, in a chunk, in a Responses event."""
    server.next(usage=usage, times=4)
    asked: dict[str, bool] = {"include_usage": True}
    streamed = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options=asked)  # type: ignore[call-overload]
    usages = [ask(client).usage, ([chunk.usage for chunk in streamed if chunk.usage] or [None])[0]]
    assert [one and one.prompt_tokens for one in usages] == [expected, expected]
    if usage in ("missing", None):
        assert client.responses.create(model=MODEL, input="Hi").usage is None
        *_, last = client.responses.create(model=MODEL, input="Hi", stream=True)
        assert last.type == "response.completed"
        assert last.response.usage is None


def test_no_usage_by_name(server: LocalServer, client: OpenAI) -> None:
    """``fault="usage"`` is short for ``usage="missing"``, and a stored response keeps its own."""
    server.next(fault="usage")
    made = client.responses.create(model=MODEL, input="Hi")
    assert made.usage is None
    assert client.responses.retrieve(made.id).usage is not None
    assert isinstance(ask(client).usage, CompletionUsage)


def test_the_content_filter_ends_a_reply(server: LocalServer, client: OpenAI) -> None:
    """In all four forms."""
    server.next(fault="content_filter", times=4)
    choice = ask(client).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("content_filter", "")
    seen, error = drain(stream(client))
    assert error is None
    assert len(seen) == 3
    assert seen[-1].choices[0].finish_reason == "content_filter"
    response = client.responses.create(model=MODEL, input="Hi")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "content_filter"
    *_, last = client.responses.create(model=MODEL, input="Hi", stream=True)
    assert last.type == "response.incomplete"


def test_headers_alone(server: LocalServer, client: OpenAI) -> None:
    """A normal answer with other headers."""
    server.next(headers={"x-ratelimit-remaining-tokens": "0"})
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert raw.headers["x-ratelimit-remaining-tokens"] == "0"
    assert raw.parse().choices


def test_an_unknown_fault_is_refused(server: LocalServer) -> None:
    """When ordered, not when taken."""
    with pytest.raises(ValueError, match="truncated_sse"):
        server.next(fault="nonsense")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="times"):
        server.next(500, times=0)
    with pytest.raises(ValueError, match="after"):
        server.next(fault="cut", after=-1)
