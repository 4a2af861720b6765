"""Retry under each fault of the network, against a real server: sync, asyncio and trio."""

from __future__ import annotations

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
from llmstack.events import AttemptFinished, RetryScheduled
from llmstack.middleware import Retry
from llmstack.testing import LocalServer
from tests.core.side import Side, trio_complains
from tests.middleware.retry_server import HELLO, WAIT, ask, reasons, rig

pytestmark = trio_complains


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
