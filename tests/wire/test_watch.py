"""What a watch says is wrong with a stream, if it is asked to."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any

import httpx2
import openai
import pytest

from llmstack import Call
from llmstack._wire.sdk import api_error
from llmstack._wire.watch import MAX_JUDGED, EventWatch

WRONG = openai.APIResponseValidationError
REQUEST = httpx2.Request("POST", "http://example.com/v1/chat/completions")
SECRET = "the answer that nobody may see"


def line(value: Any) -> bytes:
    """An event of this JSON value, or of this text."""
    return b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n"


def chunk(content: str | None, finish: str | None = None) -> bytes:
    """An event of a chat."""
    return line({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]})


HI, STOP, DONE, BAD = chunk("Hi"), chunk(None, "stop"), line("[DONE]"), line('{"choices": [{"delta"')
COMPLETED = line({"type": "response.completed", "response": {"id": "resp_1", "output": []}})


def watch_of(endpoint: str = "chat.completions", *, headers: Any = None, **asked: bool) -> EventWatch:
    """A watch over the answer to a streamed call."""
    call = Call(path="/" + endpoint.replace(".", "/"), endpoint=endpoint, stream=True, **asked)  # type: ignore[arg-type]
    return EventWatch(call, 200, headers or {}, partial(api_error, request=REQUEST))


def seen(watch: EventWatch, pieces: Iterable[bytes]) -> list[Any]:
    """The events until something is wrong, or until the end."""
    events: list[Any] = []
    for piece in pieces:
        events += watch.feed(piece)
        if watch.failure is not None:
            return events
    return [*events, *watch.end()]


def cuts(data: bytes) -> list[list[bytes]]:
    """The same bytes in one piece, byte by byte, and in two."""
    halves = [[data[:i], data[i:]] for i in range(1, len(data), 7)]
    return [[data], [data[i : i + 1] for i in range(len(data))], *halves]


# Bodies that are no streams -----------------------------------------------------------------------------------------

BODIES = [
    (b"", "is empty"),
    (b"<!doctype html><p>down</p>", "is HTML (26 bytes), not a stream of events"),
    (b'{"choices": []}', "is JSON (15 bytes), not a stream of events"),
    (b'{"choices": [', "is JSON (13 bytes), not a stream of events"),
    (b"upstream\nis\n\ndown\n\n", "is text (19 bytes), not a stream of events"),
    (b": ping\n\n: ping\n\n", "is text (16 bytes), not a stream of events"),
    (b"data: {", "is text (7 bytes), not a stream of events"),
    (b"<p>\xff</p>\n\n", "is markup (11 bytes), not a stream of events"),
]


@pytest.mark.parametrize(("body", "what"), BODIES)
def test_a_body_without_any_event_is_no_stream(body: bytes, what: str) -> None:
    """However it is cut; without `verify` it is an empty stream, as for the SDK."""
    for pieces in cuts(body):
        watch = watch_of(verify=True)
        assert seen(watch, pieces) == []
        error = watch.failure
        assert type(error) is WRONG
        if b"\xff" not in body:  # else nothing is read beyond that byte
            assert str(error) == f"the answer to chat.completions {what}"
            assert error.response.content == body
        assert error.request is REQUEST
        assert not watch.reply(ended=True).complete
    if b"\xff" not in body:
        watch = watch_of()
        assert seen(watch, [body]) == []
        assert watch.failure is None


@pytest.mark.parametrize("error", [{"message": "no more", "code": "overloaded"}, "no more"], ids=["object", "string"])
def test_an_error_where_a_stream_was_due_is_that_error(error: Any) -> None:
    """As in a body that was no stream."""
    body = json.dumps({"error": error}, indent=1).encode()
    for pieces in cuts(body):
        watch = watch_of(verify=True, headers={"x-request-id": "req_1", "content-encoding": "gzip"})
        assert seen(watch, pieces) == []
        failure: Any = watch.failure
        assert type(failure) is openai.APIError
        assert failure.body == error
        assert getattr(failure, "request_id", None) == "req_1"


def test_of_a_large_body_only_the_beginning_is_kept() -> None:
    """Its size is told all the same. A first event of any size is an event."""
    watch = watch_of(verify=True)
    assert seen(watch, [b"<html>", *[b"x" * 1000] * 1000]) == []
    failure: Any = watch.failure
    assert "(1000006 bytes)" in str(failure)
    assert len(failure.response.content) == MAX_JUDGED
    watch = watch_of(verify=True)
    assert len(seen(watch, [b"data: ", b'"', *[b"x" * 1000] * 100, b'"\n\n', DONE])) == 2
    assert watch.failure is None


# Events that cannot be read -----------------------------------------------------------------------------------------

BROKEN = [BAD, line("nothing"), line("{'a': 1}"), b"event: ping\n\n", line("[" * 100_000)]


@pytest.mark.parametrize("bad", BROKEN, ids=["cut", "text", "python", "empty", "deep"])
def test_an_event_that_is_no_json_is_a_failure(bad: bytes) -> None:
    """What came before it is delivered; it and what follows is not. Without `verify` all is left to the SDK."""
    for pieces in ([HI + bad + HI + DONE], [HI, bad], [HI + bad[:4], bad[4:] + HI]):
        watch = watch_of(verify=True)
        assert [event.data for event in seen(watch, pieces)] == [HI[6:-2].decode()]
        assert type(watch.failure) is WRONG
        reply = watch.reply(ended=False)
        assert (reply.text, reply.complete) == ("Hi", False)
    watch = watch_of()
    assert len(seen(watch, [HI + bad + DONE])) == 3
    assert watch.failure is None


def test_an_event_that_is_no_utf_8_is_a_failure() -> None:
    """The events before it come first."""
    watch = watch_of(verify=True)
    assert len(watch.feed(HI + b"data: \xff\n\n")) == 1
    assert watch.failure is None
    assert watch.feed(HI) == []
    assert type(watch.failure) is WRONG
    with pytest.raises(UnicodeDecodeError):
        seen(watch_of(), [HI + b"data: \xff\n\n", HI])


def test_what_is_no_object_or_follows_the_end_marker_is_left_to_the_sdk() -> None:
    """It reads no further than [DONE], and makes of other JSON what it will."""
    watch = watch_of(verify=True)
    assert len(seen(watch, [line("null") + line("3") + HI + DONE + BAD, BAD])) == 6
    assert watch.failure is None


def test_an_error_event_before_it_counts() -> None:
    """The SDK would raise there."""
    watch = watch_of(verify=True)
    assert len(seen(watch, [HI + line({"error": {"message": "no more"}}) + BAD])) == 3
    failure: Any = watch.failure
    assert type(failure) is openai.APIError
    assert failure.message == "no more"


def test_content_before_a_bad_event_is_content() -> None:
    """And what would have followed is none."""
    watch = watch_of(verify=True)
    seen(watch, [HI + BAD])
    assert watch.content
    watch = watch_of(verify=True)
    seen(watch, [BAD + HI])
    assert not watch.content


# Ends that do not say that they are ends ----------------------------------------------------------------------------

UNFINISHED = [
    ("chat.completions", b""),
    ("chat.completions", HI),
    ("chat.completions", HI + STOP[:-2]),
    ("chat.completions", HI + STOP + b"data: {"),
    ("chat.completions", HI + STOP + b"data: {}\n"),
    ("chat.completions", HI + DONE[:-1]),
    ("responses", line({"type": "response.created", "response": {}})),
    ("responses", COMPLETED[:-1]),
    ("threads.runs", line({"id": "run_1"})),
    ("acme", line({"a": 1}) + b"data: "),
]
FINISHED = [
    ("chat.completions", HI + STOP),
    ("chat.completions", HI + STOP.replace(b"\n", b"\r\n")),
    ("chat.completions", HI + STOP.replace(b"\n", b"\r")),
    ("chat.completions", HI + DONE),
    ("chat.completions", DONE),
    ("chat.completions", HI + DONE + b"data: {"),
    ("responses", COMPLETED),
    ("threads.runs", line({"id": "run_1"}) + DONE),
    ("acme", line({"a": 1})),
]


@pytest.mark.parametrize(("endpoint", "body"), UNFINISHED)
def test_an_unfinished_end_is_a_lost_connection(endpoint: str, body: bytes) -> None:
    """For a call that is strict; for any other it is the end."""
    for pieces in cuts(body):
        watch = watch_of(endpoint, strict=True)
        seen(watch, pieces)
        error = watch.failure
        assert type(error) is openai.APIConnectionError
        assert str(error) == "The stream ended before it was finished."
        assert error.request is REQUEST
        assert error.__cause__ is None
        assert not watch.reply(ended=True).complete
    watch = watch_of(endpoint, verify=True)
    seen(watch, [body])
    assert type(watch.failure) in (type(None), WRONG)


@pytest.mark.parametrize(("endpoint", "body"), FINISHED)
def test_a_finished_end_is_one(endpoint: str, body: bytes) -> None:
    """By its end marker, or by a finish reason for each choice and no half event after it."""
    for pieces in cuts(body):
        watch = watch_of(endpoint, strict=True, verify=True)
        seen(watch, pieces)
        assert watch.failure is None


def test_what_is_no_stream_is_not_called_unfinished() -> None:
    """Asked for both, the more telling error."""
    watch = watch_of(strict=True, verify=True)
    seen(watch, [b"<html>"])
    assert type(watch.failure) is WRONG


# The failure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"<html>" + SECRET.encode(), HI + line('{"' + SECRET)], ids=["html", "event"])
def test_a_failure_shows_no_content(body: bytes) -> None:
    """Neither its text nor its repr; `body` has it, as with the SDK."""
    watch = watch_of(verify=True)
    seen(watch, [body])
    error = watch.failure
    assert isinstance(error, openai.APIResponseValidationError)
    assert SECRET not in repr(error) + str(error) + repr(error.response)
    assert SECRET in str(error.body)


def test_a_raised_failure_does_not_keep_the_watch() -> None:
    """Its traceback leads to the frames that hold the watch; the other way round there is nothing."""
    gc.disable()
    try:
        watch = watch_of(verify=True)
        seen(watch, [BAD])
        try:
            raise watch.failure or AssertionError
        except openai.APIError as error:
            raised = weakref.ref(error)
        assert raised() is None
        assert type(watch.failure) is WRONG
    finally:
        gc.enable()


def test_a_call_with_no_request_gets_one_made_up() -> None:
    """For a transport whose errors know none."""
    call = Call(path="/chat/completions", endpoint="chat.completions", base_url="http://example.com/v1/", verify=True)
    watch = EventWatch(call, 200, {}, lambda _: ValueError())
    seen(watch, [b""])
    error: Any = watch.failure
    assert str(error.request.url) == "http://example.com/v1/chat/completions"


USED = line({"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 3}})
WHOLE = [HI, chunk(" you"), STOP]


@pytest.mark.parametrize(
    ("events", "left", "complete"),
    [
        ([*WHOLE, DONE], 1, True),  # nothing but the end marker
        ([*WHOLE, DONE], 2, False),
        ([*WHOLE, DONE], 4, False),
        ([*WHOLE, USED, DONE], 2, True),
        ([*WHOLE, USED, DONE], 3, False),
    ],
)
def test_what_the_program_did_not_take_is_known_but_the_reply_is_not_whole(
    events: list[bytes], left: int, *, complete: bool
) -> None:
    """All of it may have come in one read before the program stops reading."""
    watch = watch_of()
    watch.feed(b"".join(events))
    watch.left(left)
    reply = watch.reply(ended=False)
    assert (reply.complete, reply.text) == (complete, "Hi you")
    assert (reply.usage is not None) == (USED in events)
