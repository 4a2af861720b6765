"""Route: the next target answers if one cannot."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.events import AttemptFinished
from llmstack.middleware.route import DEFAULT, KINDS, HopAnswered
from llmstack.testing import Status
from tests.core.side import DONE, PREAMBLE, Side, chunk, event_error, lost, spoken, texts
from tests.middleware.route_rig import ALL, bench, refused

FAILURES = {
    "rate_limit": refused(429),
    "quota": refused(429, "insufficient_quota"),
    "server": refused(503),
    "timeout": openai.APITimeoutError(request=httpx2.Request("POST", "https://a.example.com")),
    "connection": lost(),
    "content_filter": refused(400, "content_filter"),
    "not_found": refused(404, "model_not_found"),
    "auth": refused(401, "invalid_api_key"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("kind", FAILURES)
def test_the_next_target_answers(side: Side, kind: str, stream: bool) -> None:  # noqa: FBT001
    """Whatever kind of failure it is; the program sees nothing of it, the events tell."""
    b = bench(side, ALL, {"a": [FAILURES[kind]]})
    assert b.go(stream=stream) == ["from b"]
    assert b.notes == [("a/*", kind), ("b/*", "ok")]
    (failed,) = b.failed
    assert (failed.target, failed.number, failed.kind) == ("a/*", 1, kind)
    assert failed.call.host == "a.example.com"
    assert failed.error is not None
    (answered,) = b.rig.recorder.of(HopAnswered)
    assert (answered.target, answered.number, answered.call.host) == ("b/*", 2, "b.example.com")
    hosts = [attempt.call.host for attempt in b.rig.recorder.of(AttemptFinished)]
    assert hosts == ["a.example.com", "b.example.com"]
    assert b.sent("c") == 0


@pytest.mark.parametrize("kind", [kind for kind in FAILURES if kind != "quota"])
def test_kinds_that_are_not_named_go_to_the_program(side: Side, kind: Any) -> None:
    """`on` says what is worth another target."""
    on = [name for name in DEFAULT if name != kind]
    b = bench(side, ALL, {"a": [FAILURES[kind]]}, on=on)

    async def program() -> None:
        with pytest.raises(openai.APIError):
            await b.ask()

    side.run(program)
    assert (b.sent("a"), b.sent("b")) == (1, 0)
    assert b.notes == [("a/*", kind)]


@pytest.mark.parametrize("step", [refused(400), refused(422), refused(400, "previous_response_not_found")], ids=str)
def test_what_would_fail_anywhere_is_not_tried_elsewhere(side: Side, step: Status) -> None:
    """The request is wrong, not the target."""
    b = bench(side, ALL, {"a": [step]})

    async def program() -> None:
        with pytest.raises(openai.APIStatusError) as caught:
            await b.ask()
        assert not hasattr(caught.value, "__notes__")

    side.run(program)
    assert b.sent("b") == 0
    assert b.notes == [("a/*", "error")]
    assert b.state("a/*") == "well"


def test_when_all_fail_the_last_error_tells_what_was_tried(side: Side) -> None:
    """In notes without content; it is the SDK's own error, and pickles."""
    b = bench(side, ALL, {"a": [refused(500, message="private words")], "b": [refused(429)], "c": [refused(502)]})

    async def program() -> BaseException:
        with pytest.raises(openai.InternalServerError) as caught:
            await b.ask()
        return caught.value

    error = side.run(program)
    assert error.status_code == 502
    assert error.__notes__ == ["route: a/* (server), b/* (rate_limit), c/* (server)"]
    assert b.notes == [("a/*", "server"), ("b/*", "rate_limit"), ("c/*", "server")]
    assert b.rig.finished.error is error
    assert b.rig.finished.attempts == 3


def test_a_stream_moves_on_until_its_first_content(side: Side) -> None:
    """A preamble does not close the door."""
    broken = [PREAMBLE, event_error()]
    b = bench(side, ALL, {"a": [broken], "b": [[PREAMBLE, lost()]], "c": [spoken("Cer", "tainly")]})
    assert b.go(stream=True) == ["Certainly"]
    assert b.notes == [("a/*", "server"), ("b/*", "connection"), ("c/*", "ok")]


def test_a_stream_stays_where_content_came_from(side: Side) -> None:
    """After that the error is the program's."""
    b = bench(side, ALL, {"a": [[PREAMBLE, chunk("Hel"), event_error()]]})

    async def program() -> str:
        stream = await side.do(b.rig.create(stream=True))
        given, error = await side.read_until(openai.APIError, stream)
        assert error.code == "server_error"
        return texts(given)

    assert side.run(program) == "Hel"
    assert b.sent("b") == 0
    assert b.route.status()["a/*"].failures == 1


def test_a_program_that_stops_reading_has_no_failure(side: Side) -> None:
    """What was answered was answered."""
    b = bench(side, ALL, {"a": [spoken("one", "two", "three")]})

    async def program() -> None:
        stream = await side.do(b.rig.create(stream=True))
        async for got in side.each(stream):
            if texts([got]):
                break
        await side.close(stream)

    side.run(program)
    status = b.route.status()["a/*"]
    assert (status.in_flight, status.failures, status.answered) == (0, 0, 1)


@pytest.mark.parametrize("ambiguous", [False, True])
def test_what_may_have_been_executed(side: Side, ambiguous: bool) -> None:  # noqa: FBT001
    """It is asked elsewhere only if it may be billed twice."""
    b = bench(side, ALL, {"a": [lost()]}, retry_ambiguous=ambiguous)

    async def program() -> Any:
        if ambiguous:
            return await b.ask()
        with pytest.raises(openai.APIConnectionError):
            await b.ask()
        return None

    assert side.run(program) == ("from b" if ambiguous else None)


def test_an_answer_that_is_none_is_a_failure(side: Side) -> None:
    """A page of HTML with status 200."""
    b = bench(side, ALL, {"a": [b"<html>Bad gateway</html>"]})
    assert b.go() == ["from b"]
    assert b.notes == [("a/*", "server"), ("b/*", "ok")]


@pytest.mark.parametrize("code", ["invalid_api_key", "insufficient_quota"])
def test_another_model_with_the_same_key_is_not_tried_for_a_key_that_is_wrong_or_spent(side: Side, code: str) -> None:
    """The next is at another transport."""
    status = 401 if code == "invalid_api_key" else 429
    b = bench(side, ["a/x", "a/y", "b/x"], {"a": [refused(status, code)]})
    assert b.go() == ["from b"]
    assert b.models("a") == ["x"]


def test_after_a_lost_connection_other_transports_come_first(side: Side) -> None:
    """The host may be down."""
    b = bench(side, ["a/x", "a/y", "b/x"], {"a": [lost()], "b": [refused(500)]})
    assert b.go() == ["from a"]
    assert b.notes == [("a/x", "connection"), ("b/x", "server"), ("a/y", "ok")]


def test_a_body_that_cannot_be_sent_again_goes_to_one_target(side: Side) -> None:
    """It is used up."""

    def once(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.replace(replayable=False)))

    b = bench(side, ALL, {"a": [refused(500)]}, outer=[once])

    async def program() -> None:
        with pytest.raises(openai.InternalServerError):
            await b.ask()

    side.run(program)
    assert b.sent("b") == 0


def test_kinds_are_told() -> None:
    """All but a budget's refusal lead on by default."""
    assert set(KINDS) - set(DEFAULT) == {"budget"}


def test_a_stream_without_content_moves_on_for_nobody(side: Side) -> None:
    """An answer that just says nothing is an answer."""
    b = bench(side, ALL, {"a": [[PREAMBLE, chunk(finish="stop"), DONE]]})
    assert b.go(stream=True) == [""]
    assert b.answered == ["a/*"]
