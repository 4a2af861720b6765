"""Retry: what is sent again, and when."""

import gc
import weakref

import anyio
import anyio.lowlevel
import openai
import pytest
import tenacity

import llmstack
from llmstack import AsyncOpenAI, Stack
from llmstack.errors import RefusedError
from llmstack.events import RetryScheduled
from llmstack.middleware import Retry
from llmstack.testing import Recorder, ScriptedTransport, Status
from tests.middleware.retry_rig import ASK, Bench, lost


@pytest.mark.parametrize(
    "failure", [Status(408), Status(409), Status(429), Status(500), Status(503), Status(529), lost()]
)
def test_a_passing_failure_is_sent_again(failure):
    """And the events tell of it."""
    bench = Bench([failure, "hello"])
    assert bench.ask() == "hello"
    assert bench.recorder.finished.attempts == 2
    assert bench.recorder.finished.outcome == "ok"
    assert [event.number for event in bench.recorder.of(RetryScheduled)] == [1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_lasting_failure_is_raised_at_once(status):
    """One attempt, the SDK's own error."""
    bench = Bench([Status(status)])
    with pytest.raises(openai.APIStatusError) as caught:
        bench.ask()
    assert caught.value.status_code == status
    assert len(bench.transport.calls) == 1
    assert bench.clock.sleeps == []


def test_an_empty_account_is_not_asked_again():
    """A 429 that can never succeed; the code is kept."""
    bench = Bench([Status(429, code="insufficient_quota")])
    with pytest.raises(openai.RateLimitError) as caught:
        bench.ask()
    assert caught.value.code == "insufficient_quota"
    assert len(bench.transport.calls) == 1


def test_the_last_error_is_the_sdks_own():
    """After all attempts."""
    bench = Bench([Status(500), Status(502), Status(503)])
    with pytest.raises(openai.InternalServerError) as caught:
        bench.ask()
    assert caught.value.status_code == 503
    assert bench.recorder.finished.attempts == 3
    assert bench.recorder.finished.error is caught.value


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after-ms": "150", "retry-after": "60"}, 0.15),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "0"}, 1.5),
        ({"retry-after": "-5"}, 1.5),
        ({"retry-after": "nan"}, 1.5),
        ({"retry-after": "junk"}, 1.5),
    ],
)
def test_the_servers_wish_goes_before_our_own_wait(headers, delay):
    """Where it says something usable."""
    bench = Bench([Status(429, headers=headers), "hello"], Retry(wait=tenacity.wait_fixed(1.5)))
    bench.ask()
    assert bench.clock.sleeps == [delay]


@pytest.mark.parametrize("headers", [{"retry-after": "121"}, {"retry-after": "86400"}, {"retry-after-ms": "120001"}])
def test_a_wish_beyond_the_cap_is_an_error_now(headers):
    """Nobody waits a day."""
    bench = Bench([Status(429, headers=headers)])
    with pytest.raises(openai.RateLimitError):
        bench.ask()
    assert bench.clock.sleeps == []


@pytest.mark.parametrize(("status", "said", "sends"), [(500, "false", 1), (400, "true", 2)])
def test_x_should_retry_is_obeyed(status, said, sends):
    """The server knows best."""
    bench = Bench([Status(status, headers={"x-should-retry": said}), "hello"])
    try:
        bench.ask()
    except openai.APIStatusError:
        assert sends == 1
    assert len(bench.transport.calls) == sends


def test_max_retries_of_the_client_and_of_the_call_set_the_attempts():
    """And the SDK's own loop is off: N attempts are N sends."""
    bench = Bench([Status(500)] * 9, max_retries=4)
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert len(bench.transport.calls) == 5
    with pytest.raises(openai.InternalServerError):
        bench.client.with_options(max_retries=0).chat.completions.create(**ASK)
    assert len(bench.transport.calls) == 6
    assert {call.max_retries for call in bench.transport.calls} == {0}


def test_waits_grow_with_full_jitter():
    """0.5 s doubled, never more than 8 s."""
    bench = Bench([Status(500)] * 12, Retry(attempts=12))
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    for i, slept in enumerate(bench.clock.sleeps):
        assert 0 <= slept <= min(0.5 * 2**i, 8)


def test_a_refusal_of_an_inner_layer_is_not_retried():
    """It would say the same again."""
    bench = Bench([RefusedError("no")])
    with pytest.raises(RefusedError):
        bench.ask()
    assert len(bench.transport.calls) == 1


def test_a_wait_that_would_pass_the_deadline_is_not_begun():
    """The error now is better than the same error later."""
    bench = Bench([Status(500), Status(500), "hello"], Retry(wait=tenacity.wait_fixed(6)))
    with llmstack.options(deadline=10), pytest.raises(openai.InternalServerError):
        bench.ask()
    assert bench.clock.sleeps == [6.0]
    assert len(bench.transport.calls) == 2


def test_an_error_code_that_is_a_status_is_judged_as_one():
    """Some compatible servers answer 200 and put the status into the body."""
    gone = {"error": {"message": "no such model", "code": 404}}
    bench = Bench([[{"error": {"message": "busy", "code": 503}}], "hello", [gone]])
    assert "".join(c.choices[0].delta.content or "" for c in bench.client.chat.completions.create(**ASK, stream=True))
    with pytest.raises(openai.APIError, match="no such model"):
        list(bench.client.chat.completions.create(**ASK, stream=True))
    assert len(bench.transport.calls) == 3


def test_a_strict_retry_takes_a_stream_that_just_stops_for_a_lost_connection():
    """It looks successful and is not; before any content it is sent again."""
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    bench = Bench([[role], "hello"], Retry(strict=True))
    chunks = list(bench.client.chat.completions.create(**ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
    assert len(bench.transport.calls) == 2


def test_closing_an_unread_stream_waits_for_nothing():
    """What had come of it is no reason to ask again: nobody reads any more."""
    rejecting = Retry(retry=tenacity.retry_if_result(lambda _: True), wait=tenacity.wait_fixed(7))
    bench = Bench(["hello"], rejecting)
    bench.client.chat.completions.create(**ASK, stream=True).close()
    assert bench.clock.sleeps == []
    assert bench.recorder.of(RetryScheduled) == []


def test_attempts_are_numbered_as_the_calls_requests_are():
    """Also where a layer further out sends the call several times."""

    def twice(call, next):
        yield from next(call)
        return (yield from next(call))

    bench = Bench(["one", Status(500), "two"])
    stack = bench.client.stack.with_plugins(twice, outermost=True)
    bench.client.with_options(stack=stack).chat.completions.create(**ASK)
    assert [event.number for event in bench.recorder.of(RetryScheduled)] == [2]


@pytest.mark.parametrize("script", [[Status(500)], [lambda _: lost()], [b"<html>"], [Status(503), Status(400)]])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_call_is_freed_without_the_garbage_collector(script, stream):
    """No cycle keeps the error, and with it the call and its messages."""
    bench = Bench(script, Retry(attempts=len(script)))
    bench.client.stack.plugins["recorder"].events = Forgetful()
    freed = []
    gc.collect()
    gc.disable()
    try:
        try:
            list(bench.client.chat.completions.create(**ASK, stream=True)) if stream else bench.ask()
        except openai.APIError as error:
            freed.append(weakref.ref(error))
        assert freed[0]() is None
    finally:
        gc.enable()


class Forgetful(list):
    """Keeps nothing."""

    def append(self, item):
        """Forget it."""


async def test_a_task_that_is_cancelled_while_it_waits_for_a_retry_stops_at_once():
    """It does not wait the minute, and sends nothing more. On the real clock."""
    recorder = Recorder()
    transport = ScriptedTransport([Status(429, headers={"retry-after": "60"}), "never"])
    stack = Stack([Retry(), recorder], transport=transport)
    client = AsyncOpenAI(api_key="sk-test-not-a-key", stack=stack)
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: client.chat.completions.create(**ASK))
        while not recorder.of(RetryScheduled):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert recorder.finished.outcome == "cancelled"
    assert len(transport.calls) == 1


async def test_it_sleeps_without_blocking_in_async():
    """On both event loops, by the same clock."""
    bench = Bench([Status(429, headers={"retry-after": "3"}), "hello"])
    reply = await bench.aclient.chat.completions.create(**ASK)
    assert reply.choices[0].message.content == "hello"
    assert bench.clock.sleeps == [3.0]


def test_a_stream_that_breaks_before_content_is_sent_again():
    """The program sees one seamless stream."""
    role = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    bench = Bench([[role, lost()], "hello"])
    chunks = list(bench.client.chat.completions.create(**ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
    assert sum(chunk.choices[0].delta.role == "assistant" for chunk in chunks) == 1
    assert bench.recorder.finished.attempts == 2


def test_a_stream_that_breaks_after_content_is_not():
    """What was delivered stays; the error is raised."""
    said = {"choices": [{"index": 0, "delta": {"content": "hel"}}]}
    bench = Bench([[said, lost()]])
    stream = bench.client.chat.completions.create(**ASK, stream=True)
    assert next(stream).choices[0].delta.content == "hel"
    with pytest.raises(openai.APIConnectionError):
        next(stream)
    assert len(bench.transport.calls) == 1
