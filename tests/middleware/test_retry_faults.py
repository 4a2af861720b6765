"""Retry under each fault of network, status and stream, against a real server: sync, asyncio and trio."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any

import httpx2
import openai
import pytest
import tenacity
import trustme

import llmstack
from llmstack.events import AttemptFinished, RetryScheduled, RetryStopped
from llmstack.middleware import Retry
from llmstack.testing import FakeClock, LocalServer, Recorder
from tests.core.side import MESSAGES, Rig, Side, texts, trio_complains

WAIT = tenacity.wait_fixed(1.5)

pytestmark = trio_complains


@pytest.fixture(params=["plain", "streamed"])
def mode(request: pytest.FixtureRequest) -> str:
    """A call for one answer, or for a stream of it."""
    return request.param


def rig(side: Side, server: LocalServer, retry: Retry | None = None, **more: Any) -> Rig:
    """A client with Retry. The SDK's default number of retries leaves the number to it."""
    options: dict[str, Any] = {"max_retries": 2, "timeout": 20, **more}
    return side.local(server, [retry or Retry(wait=WAIT)], **options)


def ask(side: Side, rig: Rig, mode: str) -> Any:
    """One call; its text, or the error it raised."""

    async def program() -> Any:
        try:
            if mode == "plain":
                return (await side.do(rig.create())).choices[0].message.content
            return texts(await side.read(await side.do(rig.create(stream=True))))
        except openai.OpenAIError as error:
            return error
        finally:
            await side.do(rig.client.close())

    return side.run(program)


def reasons(rig: Rig) -> list[str]:
    """Why there were no more attempts."""
    return [event.reason for event in rig.recorder.of(RetryStopped)]


HELLO = "You said: Say hello"


# Network ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["close", "reset", "garbage", "bad_length"])
def test_a_broken_connection_is_survived(side: Side, server: LocalServer, mode: str, fault: str) -> None:
    """One request is lost, the next is answered; the books know of both."""
    if (mode, fault) == ("streamed", "bad_length"):
        pytest.skip("all of the stream has been delivered when it turns out that more was promised")
    server.next(fault=fault)  # type: ignore[arg-type]
    bench = rig(side, server)
    assert ask(side, bench, mode) == HELLO
    assert server.count() == 2
    assert bench.finished.attempts == 2
    assert [event.outcome for event in bench.recorder.of(AttemptFinished)] == ["error", "ok"]
    assert [event.delay for event in bench.recorder.of(RetryScheduled)] == bench.clock.sleeps == [1.5]


@pytest.mark.parametrize("fault", ["close", "reset", "garbage"])
def test_a_request_that_may_have_been_executed_is_not_sent_again_if_told_so(
    side: Side, server: LocalServer, mode: str, fault: str
) -> None:
    """On a fresh connection nobody knows."""
    server.next(fault=fault)  # type: ignore[arg-type]
    bench = rig(side, server, Retry(retry_ambiguous=False))
    assert type(ask(side, bench, mode)) is openai.APIConnectionError
    assert server.count() == 1


def test_a_kept_connection_that_was_just_closed_is_replaced_at_once_even_then(side: Side, server: LocalServer) -> None:
    """It was not looked at. Once, and without a wait."""
    bench = rig(side, server, Retry(retry_ambiguous=False))

    async def program() -> None:
        await side.do(bench.client.models.list())
        server.next(fault="close", path="/completions")
        assert (await side.do(bench.create())).choices[0].message.content == HELLO
        await side.do(bench.client.close())

    side.run(program)
    assert bench.clock.sleeps == [0.0]
    assert server.count("/chat/completions") == 2


def test_a_refused_connection_is_tried_again(side: Side, mode: str) -> None:
    """It was not sent, so that is safe also where ambiguity is not."""
    with LocalServer() as gone:
        pass  # it keeps its address
    bench = side.local(gone, [Retry(wait=WAIT, retry_ambiguous=False)], max_retries=2)
    error = ask(side, bench, mode)
    assert type(error) is openai.APIConnectionError
    assert bench.clock.sleeps == [1.5, 1.5]
    assert bench.finished.attempts == 3
    assert reasons(bench) == ["attempts"]


def test_a_certificate_that_is_not_trusted_is_an_error_at_once(side: Side, mode: str) -> None:
    """It will not be better next time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands() -> None:
            with listener.accept()[0] as connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=shake_hands)
        thread.start()
        kind: Any = llmstack.AsyncOpenAI if side.asynchronous else llmstack.OpenAI
        bench = side.rig([Retry()])
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        stack = bench.stack.with_transport(None)
        bench.client = kind(api_key="sk-test-not-a-key", base_url=url, stack=stack)
        error = ask(side, bench, mode)
        thread.join()
    assert type(error) is openai.APIConnectionError
    assert bench.finished.attempts == 1
    assert bench.clock.sleeps == []


def test_a_server_that_hangs_is_left_after_the_time_out_and_asked_again(
    side: Side, server: LocalServer, mode: str
) -> None:
    """APITimeoutError if it never answers."""
    gate = server.next(fault="hang", times=None)
    bench = rig(side, server, timeout=httpx2.Timeout(20, read=0.05))
    assert type(ask(side, bench, mode)) is openai.APITimeoutError
    assert bench.finished.attempts == 3
    server.wait_for(lambda server: server.count() == 3)
    gate.release()


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_server_that_drips_does_not_outlive_the_deadline(
    side: Side, server: LocalServer, mode: str, part: Any
) -> None:
    """It would take minutes; each byte comes well within the time-out. Here the clock is the real one."""
    server.next(fault="drip", part=part, interval=0.05, times=None)
    bench = rig(side, server, Retry(deadline=0.6))
    bench.clock.monotonic = __import__("time").monotonic  # type: ignore[method-assign]
    assert type(ask(side, bench, mode)) is openai.APITimeoutError
    assert server.count() == 1
    assert reasons(bench) == ["deadline"]


def test_all_attempts_together_end_at_the_deadline(side: Side, server: LocalServer, mode: str) -> None:
    """Waits count, and one that would pass it is not begun."""
    server.next(500, times=None)
    bench = rig(side, server, Retry(attempts=9, wait=tenacity.wait_fixed(4), deadline=10))
    assert type(ask(side, bench, mode)) is openai.InternalServerError
    assert bench.clock.sleeps == [4.0, 4.0]
    assert server.count() == 3
    assert reasons(bench) == ["deadline"]


def test_a_calls_own_deadline_goes_before(side: Side, server: LocalServer) -> None:
    """Longer or shorter."""
    server.next(500, times=None)
    bench = rig(side, server, Retry(attempts=9, wait=tenacity.wait_fixed(4), deadline=10))
    with llmstack.options(deadline=21):
        ask(side, bench, "plain")
    assert bench.clock.sleeps == [4.0] * 5


# Status -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_passing_status_is_survived(side: Side, server: LocalServer, mode: str, status: int) -> None:
    """The program gets the answer, the events both attempts."""
    server.next(status)
    bench = rig(side, server)
    assert ask(side, bench, mode) == HELLO
    assert [event.status for event in bench.recorder.of(AttemptFinished)] == [status, 200]
    assert [request.headers["x-stainless-retry-count"] for request in server.requests] == ["0", "1"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_lasting_status_is_one_request(side: Side, server: LocalServer, mode: str, status: int) -> None:
    """And the SDK's own error."""
    server.next(status)
    bench = rig(side, server)
    assert getattr(ask(side, bench, mode), "status_code", None) == status
    assert server.count() == 1


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"])
def test_an_empty_account_is_one_request(side: Side, server: LocalServer, mode: str, code: str) -> None:
    """It cannot succeed; the code is kept."""
    server.next(429, code=code)
    error = ask(side, rig(side, server), mode)
    assert type(error) is openai.RateLimitError
    assert error.code == code
    assert server.count() == 1


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"retry-after": "1"}, 1.0),
        ({"retry-after-ms": "150", "retry-after": "60"}, 0.15),
        ({"retry-after": "Fri, 29 Sep 2023 16:26:57 GMT", "date": "Fri, 29 Sep 2023 16:26:37 GMT"}, 20.0),
        ({"retry-after": "-5"}, 1.5),
        ({"retry-after": "inf"}, 1.5),
        ({"retry-after": ""}, 1.5),
    ],
)
def test_the_servers_wish_is_obeyed_exactly(
    side: Side, server: LocalServer, mode: str, headers: dict[str, str], delay: float
) -> None:
    """Where it says something usable; our own wait else, never a negative one."""
    server.next(429, headers=headers)
    bench = rig(side, server)
    assert ask(side, bench, mode) == HELLO
    assert bench.clock.sleeps == [delay]


@pytest.mark.parametrize("after", ["121", "86400", "1" + "0" * 40])
def test_a_wish_beyond_the_cap_is_the_error_now(side: Side, server: LocalServer, mode: str, after: str) -> None:
    """Nobody waits a day."""
    server.next(503, headers={"retry-after": after})
    bench = rig(side, server)
    assert type(ask(side, bench, mode)) is openai.InternalServerError
    assert bench.clock.sleeps == []
    assert reasons(bench) == ["retry_after"]


def test_a_wish_beyond_the_deadline_is_the_error_now(side: Side, server: LocalServer, mode: str) -> None:
    """The same error later helps nobody."""
    server.next(503, headers={"retry-after": "11"})
    bench = rig(side, server, Retry(deadline=10))
    assert type(ask(side, bench, mode)) is openai.InternalServerError
    assert bench.clock.sleeps == []
    assert reasons(bench) == ["deadline"]


@pytest.mark.parametrize(("status", "said", "sent"), [(503, "false", 1), (400, "true", 2), (429, "false", 1)])
def test_x_should_retry_is_obeyed(
    side: Side, server: LocalServer, mode: str, status: int, said: str, sent: int
) -> None:
    """The server knows best."""
    server.next(status, headers={"x-should-retry": said})
    ask(side, rig(side, server), mode)
    assert server.count() == sent


def test_attempts_are_requests(side: Side, server: LocalServer, mode: str) -> None:
    """N, never N times those of the SDK; given to the client or to the call."""
    server.next(500, times=None)
    bench = rig(side, server, max_retries=5)
    assert type(ask(side, bench, mode)) is openai.InternalServerError
    assert server.count() == 6


@pytest.mark.parametrize("fault", ["html", "empty", "truncated_json", "wrong_shape", "error_body"])
def test_a_body_that_is_no_answer_is_asked_for_again(side: Side, server: LocalServer, fault: Any) -> None:
    """And never given to the program."""
    server.next(fault=fault)
    bench = rig(side, server)
    assert ask(side, bench, "plain") == HELLO
    assert [event.outcome for event in bench.recorder.of(AttemptFinished)] == ["error", "ok"]


def test_a_body_that_is_no_answer_may_have_been_paid_for(side: Side, server: LocalServer) -> None:
    """Whoever wants no ambiguous retry gets the error."""
    server.next(fault="truncated_json")
    bench = rig(side, server, Retry(retry_ambiguous=False))
    assert type(ask(side, bench, "plain")) is openai.APIResponseValidationError
    assert server.count() == 1


def test_an_answer_that_displeases_is_an_answer(side: Side, server: LocalServer, mode: str) -> None:
    """Filtered, refused, cut for its length: one request, unchanged."""
    server.next(fault="content_filter")
    bench = rig(side, server)
    ask(side, bench, mode)
    assert bench.finished.finish_reason == "content_filter"
    assert bench.finished.outcome == "ok"
    assert server.count() == 1


def test_a_full_connection_pool_is_waited_for(server: LocalServer) -> None:
    """The request was not sent: asking again is safe also where ambiguity is not."""
    gate = server.gate()
    clock, recorder = FakeClock(), Recorder()
    clock.asleep = lambda seconds: _release(gate, recorder)  # type: ignore[method-assign, assignment]

    async def program() -> Any:
        stack = llmstack.Stack([Retry(attempts=2, retry_ambiguous=False), recorder], clock=clock)
        http = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=1))
        options: dict[str, Any] = {"timeout": httpx2.Timeout(20, pool=0.05), "http_client": http}
        key = "sk-test-not-a-key"
        async with llmstack.AsyncOpenAI(base_url=server.base_url, api_key=key, stack=stack, **options) as client:
            first = asyncio.ensure_future(client.chat.completions.create(model="m", messages=MESSAGES))  # type: ignore[call-overload]
            await asyncio.to_thread(server.wait_for, lambda server: server.count() == 1)
            second = await client.chat.completions.create(model="m", messages=MESSAGES)  # type: ignore[call-overload]
            await first
        return second

    assert asyncio.run(program()).choices[0].message.content == HELLO
    assert [type(event.error) for event in recorder.of(RetryScheduled)] == [openai.APITimeoutError]
    assert server.count() == 2


async def _release(gate: Any, recorder: Recorder) -> None:
    """Let the first call go, and wait until it has given its connection back."""
    gate.release()
    while len(recorder.of(AttemptFinished)) < 2:  # noqa: ASYNC110 - an observer cannot wake a task
        await asyncio.sleep(0.001)


# Streams ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "reset", "error_event", "stall"])
def test_a_stream_that_fails_before_its_first_content_is_seamless(side: Side, server: LocalServer, fault: Any) -> None:
    """After the preamble, the role: the program sees one whole stream."""
    gate = server.next(fault=fault, after=1)
    bench = rig(side, server, Retry(wait=WAIT, idle_timeout=0.3))
    assert ask(side, bench, "streamed") == HELLO
    assert server.count() == 2
    gate.release()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("cut", openai.APIConnectionError),
        ("reset", openai.APIConnectionError),
        ("error_event", openai.APIError),
        ("stall", openai.APITimeoutError),
    ],
)
def test_a_stream_that_fails_after_its_first_content_is_not_sent_again(
    side: Side, server: LocalServer, fault: Any, kind: type[Exception]
) -> None:
    """What was delivered stays, then the error; the flow gets what had come."""
    gate = server.next(fault=fault, after=3)
    bench = rig(side, server, Retry(wait=WAIT, idle_timeout=0.3))

    async def program() -> tuple[list[Any], Exception]:
        stream = await side.do(bench.create(stream=True))
        seen = await side.read_until(kind, stream)
        await side.do(bench.client.close())
        return seen

    chunks, error = side.run(program)
    assert type(error) is kind
    assert texts(chunks)
    assert HELLO.startswith(texts(chunks))
    assert server.count() == 1
    assert bench.finished.outcome == "error"
    gate.release()


@pytest.mark.parametrize("fault", ["bad_json_event", "truncated_sse", "html", "empty", "error_body"])
def test_a_stream_that_is_none_is_opened_again(side: Side, server: LocalServer, fault: Any) -> None:
    """Broken JSON, or no events at all, before any content. (One that is cut inside an event only in strict mode.)"""
    server.next(fault=fault, after=1)
    bench = rig(side, server, Retry(wait=WAIT, strict=fault == "truncated_sse"))
    assert ask(side, bench, "streamed") == HELLO
    assert server.count() == 2


def test_a_stream_that_just_stops_ends_quietly(side: Side, server: LocalServer) -> None:
    """As with the SDK; the events know better."""
    server.next(fault="no_finish")
    bench = rig(side, server)
    assert ask(side, bench, "streamed") == HELLO
    assert bench.finished.outcome == "incomplete"


def test_in_strict_mode_it_is_a_lost_connection(side: Side, server: LocalServer) -> None:
    """By an option of the call, or of the plugin. After the content it is raised, not sent again."""
    server.next(fault="no_finish", times=2)
    bench = rig(side, server)
    with llmstack.options(strict=True):
        assert type(ask(side, bench, "streamed")) is openai.APIConnectionError
    bench = rig(side, server, Retry(strict=True))
    assert type(ask(side, bench, "streamed")) is openai.APIConnectionError
    assert server.count() == 2


def test_a_silent_stream_is_not_a_slow_call(side: Side, server: LocalServer) -> None:
    """The idle time-out counts from one piece to the next, the client's time-out until the first."""
    server.next(event_delay=0.01, delay=0.6)
    bench = rig(side, server, Retry(idle_timeout=0.5))
    assert ask(side, bench, "streamed") == HELLO
    assert server.count() == 1


def test_a_calls_own_idle_time_out_goes_before(side: Side, server: LocalServer) -> None:
    """Of the option, over the plugin's."""
    gate = server.next(fault="stall", after=1, times=None)
    bench = rig(side, server, Retry(wait=WAIT, idle_timeout=60))
    with llmstack.options(idle_timeout=0.3):
        assert type(ask(side, bench, "streamed")) is openai.APITimeoutError
    assert server.count() == 3
    gate.release()
