"""Retry under each fault of a stream from a real server: sync, asyncio and trio."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import llmstack
from llmstack.middleware import Retry
from llmstack.testing import LocalServer
from tests.core.side import Side, texts, trio_complains
from tests.middleware.retry_server import HELLO, WAIT, ask, rig

pytestmark = trio_complains


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
