"""Faults of transmission, with what the SDK makes of each: silence, slowness, broken connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from llmstack.testing.local_server import FAULT_KINDS, FaultKind, LocalServer
from tests.testing.asking import ask, drain, stream

# the oldest SDK we support lets the transport's own errors out of a stream
BROKEN_STREAM = (openai.APIConnectionError, httpx2.TransportError)


def impatient(client: OpenAI) -> OpenAI:
    """Silence ends in no other way than by the client's patience."""
    return client.with_options(timeout=httpx2.Timeout(20, read=0.3))


@pytest.mark.parametrize("fault", ["close", "reset", "garbage", "bad_length", "cut"])
def test_broken_connections(server: LocalServer, client: OpenAI, fault: FaultKind) -> None:
    """All of them are connection errors; the next call gets a fresh connection."""
    server.next(fault=fault)
    with pytest.raises(openai.APIConnectionError) as caught:
        ask(client)
    assert not isinstance(caught.value, openai.APITimeoutError)
    assert ask(client).choices
    assert len({request.connection for request in server.requests}) == 2
    assert server.disconnects == 0


def test_no_answer_in_time(server: LocalServer, client: OpenAI) -> None:
    """A hang ends in a timeout, and the server notices that the client has left."""
    gate = server.next(fault="hang")
    with pytest.raises(openai.APITimeoutError):
        ask(impatient(client))
    gate.wait_reached()
    server.wait_for(lambda s: s.disconnects == 1)


def test_a_stall_ends_in_a_timeout(server: LocalServer, client: OpenAI) -> None:
    """What came before it arrives."""
    server.next(fault="stall", after=3)
    seen, error = drain(stream(impatient(client)))
    assert isinstance(error, (openai.APITimeoutError, httpx2.ReadTimeout))
    assert len(seen) == 3
    server.wait_for(lambda s: s.disconnects == 1)


def test_a_stalled_document_is_half_there(server: LocalServer, client: OpenAI) -> None:
    """Half of a body that is no stream counts as one event."""
    server.next(fault="stall")
    with pytest.raises(openai.APITimeoutError):
        ask(impatient(client))


def test_a_gate_holds_the_answer_until_released(server: LocalServer, client: OpenAI) -> None:
    """No clock is involved."""
    gate = server.gate()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, client)
        gate.wait_reached()
        assert not asked.done()
        gate.release()
        assert asked.result(20).choices
    assert (gate.reached, gate.released) == (True, True)


def test_a_gate_holds_a_stream_in_its_midst(server: LocalServer, client: OpenAI) -> None:
    """The first events are there while the rest is held."""
    gate = server.gate(after=2)
    chunks = stream(client)
    first = [next(chunks), next(chunks)]
    gate.wait_reached()
    gate.release()
    rest = list(chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in (*first, *rest)) == "You said: Hello there"


@pytest.mark.parametrize("after", [0, 1000])
def test_a_gate_may_stand_before_the_first_event_or_after_the_last(
    server: LocalServer, client: OpenAI, after: int
) -> None:
    """The headers are there in either case."""
    gate = server.gate(after=after)
    chunks = stream(client)
    gate.wait_reached()
    gate.release()
    assert len(list(chunks)) > 2


def test_a_gate_never_reached_says_so(server: LocalServer) -> None:
    """Rather than hang the test."""
    gate = server.gate(path="/nowhere")
    assert repr(gate) == "<Gate reached=False released=False>"
    with pytest.raises(TimeoutError):
        gate.wait_reached(0)
    with pytest.raises(TimeoutError):
        server.wait_for(lambda s: s.count() > 0, timeout=0)


def test_a_reset_of_the_server_releases_what_is_held(server: LocalServer, client: OpenAI) -> None:
    """Nothing hangs on into the next test."""
    gate = server.gate()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, client)
        gate.wait_reached()
        server.reset()
        assert asked.result(20).choices
    assert server.count() == 0


@pytest.mark.parametrize("part", ["body", "headers"])
def test_a_drip_arrives_whole(server: LocalServer, client: OpenAI, part: Any) -> None:
    """However slowly."""
    server.next(fault="drip", part=part, interval=0.0)
    assert ask(client).choices[0].message.content == "You said: Hello there"
    server.next(fault="drip", part=part, interval=0.0)
    assert len(drain(stream(client))[0]) > 2


def test_a_drip_outlives_no_client(server: LocalServer, client: OpenAI) -> None:
    """A client that leaves ends it."""
    server.next(fault="drip", part="headers", interval=30.0)
    with pytest.raises(openai.APITimeoutError):
        ask(impatient(client))
    server.wait_for(lambda s: s.disconnects == 1)


def test_a_cut_in_the_midst_of_an_event(server: LocalServer, client: OpenAI) -> None:
    """Abrupt: an error. Properly ended: the SDK sees a stream that succeeded."""
    server.next(fault="cut", after=2)
    seen, error = drain(stream(client))
    assert len(seen) == 2
    assert isinstance(error, BROKEN_STREAM)
    server.next(fault="truncated_sse", after=2)
    seen, error = drain(stream(client))
    assert len(seen) == 2
    assert error is None


def test_a_reset_in_the_midst_of_a_stream(server: LocalServer, client: OpenAI) -> None:
    """What was sent before arrives."""
    server.next(fault="reset", after=2)
    seen, error = drain(stream(client))
    assert isinstance(error, BROKEN_STREAM)
    assert len(seen) <= 2


def test_delays_are_taken_and_change_nothing(server: LocalServer, client: OpenAI) -> None:
    """How long they are, no test measures."""
    server.next(delay=0.001, event_delay=0.001)
    seen, error = drain(stream(client))
    assert error is None
    assert "".join(chunk.choices[0].delta.content or "" for chunk in seen) == "You said: Hello there"


def test_a_client_may_leave_during_a_delay(server: LocalServer, client: OpenAI) -> None:
    """The server does not sleep on for nobody."""
    server.next(delay=600)
    with pytest.raises(openai.APITimeoutError):
        ask(impatient(client))
    server.wait_for(lambda s: s.disconnects == 1)


@pytest.mark.parametrize("fault", sorted(FAULT_KINDS - {"hang", "stall", "drip"}))
@pytest.mark.parametrize("streamed", [False, True])
def test_no_fault_outlasts_its_request(server: LocalServer, client: OpenAI, fault: Any, *, streamed: bool) -> None:
    """Whatever happened, the next call succeeds and no connection is left behind."""
    server.next(fault=fault)
    try:
        result = stream(client) if streamed else ask(client)
        list(result)
    except (openai.APIError, httpx2.TransportError, ValueError):
        pass
    assert ask(client).choices
    client.close()
    server.wait_for(lambda s: s.open_connections == 0)
