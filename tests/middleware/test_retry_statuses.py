"""Retry under each status and body that a real server may answer with: sync, asyncio and trio."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack.events import AttemptFinished, RetryScheduled
from llmstack.middleware import Retry
from llmstack.testing import FakeClock, LocalServer, Recorder
from tests.core.side import MESSAGES, Side, trio_complains
from tests.middleware.retry_server import HELLO, ask, reasons, rig

pytestmark = trio_complains


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
