"""Streamed Responses that fail, are cut short or make no sense, as chunks of a chat."""

from __future__ import annotations

from typing import get_args

import pytest
from openai.types.responses import ResponseStreamEvent

from llmstack.transports._translation.chat_chunks import ChatChunks
from tests.transports.translation.chat_chunks import CREATED, Json, ended, event, told

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
