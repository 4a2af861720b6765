"""Streams of responses, served by streams of chat completions."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import openai
import pydantic
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

import llmstack
from llmstack.middleware import Retry
from llmstack.testing import LocalServer
from llmstack.testing.local_server import REFUSAL_MARKER, TOOL_MARKER
from llmstack.transports import ChatTransport, MemoryResponses
from tests.core.side import Rig, Side, trio_complains
from tests.drivers.strikes import WAYS, Strikes, Way
from tests.transports.chat_rig import CHAT_PATH, MODEL, WEATHER, chat_rig, play, shape

pytestmark = trio_complains

REQUESTS: dict[str, dict[str, Any]] = {
    "a text": {"input": "Hello"},
    "one call": {"input": f"{TOOL_MARKER} Rome", "tools": [WEATHER]},
    "a refusal": {"input": REFUSAL_MARKER},
    "too little room": {"input": "Hello there, all of you", "max_output_tokens": 2},
}


def opened(rig: Rig, **more: Any) -> Any:
    """A stream."""
    return rig.client.responses.create(**{"model": MODEL, "input": "Hello", "stream": True, **more})


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
def test_the_same_program_sees_the_same(side: Side, server: LocalServer, request_: dict[str, Any]) -> None:
    """Event by event, as with the Responses API itself."""
    ours, theirs = chat_rig(side, server), side.local(server)

    async def program() -> None:
        expected = await side.read(await side.do(opened(theirs, **request_)))
        got = await side.read(await side.do(opened(ours, **request_)))
        assert [type(event) for event in got] == [type(event) for event in expected]
        assert [bare(shape(event)) for event in got] == [bare(shape(event)) for event in expected]
        for event in got:
            TypeAdapter(ResponseStreamEvent).validate_python(event.to_dict(), strict=True)

    play(side, program, ours, theirs)
    assert server.requests[-1].path == CHAT_PATH
    assert server.requests[-1].json["stream_options"] == {"include_usage": True}


def bare(event: dict[str, Any]) -> dict[str, Any]:
    """An event's shape without what the local server says of a chat completion only."""
    return {**event, "response": {**event["response"], "system_fingerprint": None}} if "response" in event else event


def test_calls_at_once(side: Side, server: LocalServer) -> None:
    """They end together, at the end; all else is as in the Responses API."""
    request_ = {"input": f"{TOOL_MARKER} Rome {TOOL_MARKER}", "tools": [WEATHER]}
    ours, theirs = chat_rig(side, server), side.local(server)

    async def program() -> None:
        expected = await side.read(await side.do(opened(theirs, **request_)))
        got = await side.read(await side.do(opened(ours, **request_)))
        for at in range(2):
            mine, others = ([shape(e) for e in events if getattr(e, "output_index", None) == at]
                            for events in (got, expected))  # fmt: skip
            assert [{**e, "sequence_number": 0} for e in mine] == [{**e, "sequence_number": 0} for e in others]
        assert [event.sequence_number for event in got] == list(range(len(expected)))
        assert bare(shape(got[-1])) == bare(shape(expected[-1]))

    play(side, program, ours, theirs)


class City(pydantic.BaseModel):
    name: str


def test_the_sdks_stream_helper(side: Side, server: LocalServer) -> None:
    """Its snapshots and what it parses in the end are right."""
    rig = chat_rig(side, server)

    async def program() -> None:
        manager = rig.client.responses.stream(model=MODEL, input="Rome", text_format=City)
        stream = await manager.__aenter__() if side.asynchronous else manager.__enter__()
        events = await side.read(stream)
        final = await side.do(stream.get_final_response())
        await side.close(stream)
        snapshots = [event.snapshot for event in events if event.type == "response.output_text.delta"]
        assert snapshots[-1] == final.output_text
        assert [len(text) for text in snapshots] == sorted(len(text) for text in snapshots)
        assert final.output_parsed == City(name="Rome")

    play(side, program, rig)


def test_raw_streams(side: Side, server: LocalServer) -> None:
    """As bytes, as lines, as events: those of the Responses API."""
    rig = chat_rig(side, server)

    async def program() -> None:
        raw = await side.do(rig.client.responses.with_raw_response.create(model=MODEL, input="Hello", stream=True))
        assert (raw.headers["content-type"].partition(";")[0], raw.http_response.status_code) == (
            "text/event-stream",
            200,
        )
        assert (await side.read(raw.parse()))[-1].type == "response.completed"
        manager = rig.client.responses.with_streaming_response.create(model=MODEL, input="Hello", stream=True)
        response = await manager.__aenter__() if side.asynchronous else manager.__enter__()
        lines = await side.read(response.iter_lines())
        await side.close(response)
        assert [json.loads(line[6:])["type"] for line in lines if line.startswith("data: ")] == [
            line[7:] for line in lines if line.startswith("event: ")
        ]

    play(side, program, rig)


def test_usage_may_not_be_asked_for(side: Side, server: LocalServer) -> None:
    """Of servers that do not know how; then there is none."""
    rig = chat_rig(side, server, transport=ChatTransport(stream_usage=False))

    async def program() -> None:
        events = await side.read(await side.do(opened(rig)))
        assert events[-1].response.usage is None

    play(side, program, rig)
    assert "stream_options" not in server.requests[0].json
    assert rig.finished.usage is None


def test_the_books_have_the_usage(side: Side, server: LocalServer) -> None:
    """That of the chat completion; a layer sees the whole response."""
    rig = chat_rig(side, server)

    async def program() -> None:
        events = await side.read(await side.do(opened(rig)))
        usage = events[-1].response.usage
        assert rig.finished.usage is not None
        assert rig.finished.usage.total_tokens == usage.total_tokens > 0
        assert rig.witness.reply.complete
        assert rig.witness.reply.body == events[-1].response.to_dict()

    play(side, program, rig)


# What goes wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["no_finish", "truncated_sse"])
def test_a_stream_that_just_stops_is_not_told_as_complete(side: Side, server: LocalServer, fault: Any) -> None:
    """It ends without a terminal event, and the books say so."""
    rig = chat_rig(side, server)
    server.next(fault=fault, after=2)

    async def program() -> None:
        events = await side.read(await side.do(opened(rig)))
        assert events[-1].type == "response.output_text.delta"

    play(side, program, rig)
    assert rig.finished.outcome == "incomplete"
    assert not rig.witness.reply.complete


@pytest.mark.parametrize("fault", ["no_finish", "truncated_sse", "cut", "reset"])
def test_a_strict_program_hears_that_it_was_lost(side: Side, server: LocalServer, fault: Any) -> None:
    """After what came before."""
    rig = chat_rig(side, server)
    server.next(fault=fault, after=2)

    async def program() -> None:
        with llmstack.options(strict=True):
            stream = await side.do(opened(rig))
        events, _ = await side.read_until(openai.APIConnectionError, stream)
        # A reset may overtake what was sent before it.
        assert fault == "reset" or events[-1].type == "response.output_text.delta"

    play(side, program, rig)


def test_an_error_event_is_the_sdks_error(side: Side, server: LocalServer) -> None:
    """With its code, after what came before."""
    rig = chat_rig(side, server)
    server.next(fault="error_event", after=2, error={"message": "overloaded", "code": "server_error"})

    async def program() -> None:
        events, error = await side.read_until(openai.APIError, await side.do(opened(rig)))
        assert events[-1].type == "response.output_text.delta"
        assert (error.code, error.message) == ("server_error", "overloaded")

    play(side, program, rig)


def test_broken_json_is_what_it_is_to_the_sdk(side: Side, server: LocalServer) -> None:
    """Its own raw error without a layer that verifies, ours with one."""
    for layers, kind in (([], json.JSONDecodeError), ([Retry()], openai.APIResponseValidationError)):
        rig = chat_rig(side, server, layers)
        server.next(fault="bad_json_event", after=2)

        async def program(rig: Rig = rig, kind: type[Exception] = kind) -> None:
            events, _ = await side.read_until(kind, await side.do(opened(rig)))
            assert events[-1].type == "response.output_text.delta"

        play(side, program, rig)


@pytest.mark.parametrize("fault", ["html", "empty"])
def test_what_is_no_stream_is_an_error_to_a_layer_that_verifies(side: Side, server: LocalServer, fault: Any) -> None:
    """Which sends again: nothing had reached the program."""
    rig = chat_rig(side, server, [Retry()], max_retries=2)
    server.next(fault=fault)

    async def program() -> None:
        assert (await side.read(await side.do(opened(rig))))[-1].type == "response.completed"

    play(side, program, rig)
    assert rig.finished.attempts == 2


@pytest.mark.parametrize("faults", [{"status": 503}, {"fault": "error_event", "after": 1}], ids=str)
def test_what_fails_before_any_content_is_sent_again(side: Side, server: LocalServer, faults: dict[str, Any]) -> None:
    """The preamble of a response does not close the door: the program sees one seamless stream."""
    rig = chat_rig(side, server, [Retry()], max_retries=2)
    server.next(**faults)

    async def program() -> None:
        events = await side.read(await side.do(opened(rig)))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert [event.type for event in events].count("response.created") == 1
        assert events[-1].response.output_text == "You said: Hello"

    play(side, program, rig)
    assert rig.finished.attempts == 2


@pytest.mark.parametrize("how", ["closed", "never read"])
def test_leaving_early_gives_the_connection_back(side: Side, server: LocalServer, how: str) -> None:
    """The layers see what came."""
    rig = chat_rig(side, server)
    server.gate(after=3)

    async def program() -> None:
        stream = await side.do(opened(rig))
        if how == "closed":
            async for event in side.each(stream):
                if event.type == "response.output_text.delta":
                    break
        await side.close(stream)

    play(side, program, rig)
    server.wait_for(lambda server: server.open_connections == 0)
    assert rig.finished.outcome == "incomplete"
    assert not rig.witness.reply.complete
    if how == "closed":
        assert rig.witness.reply.text == "You "


async def plain(rig: Rig) -> None:
    await rig.client.responses.create(model=MODEL, input="Hello")


async def read(rig: Rig) -> None:
    async with await opened(rig) as stream:
        async for _ in stream:
            pass


async def closed_early(rig: Rig) -> None:
    stream = await opened(rig)
    async for _ in stream:
        break
    await stream.close()


PROGRAMS: list[Callable[[Rig], Coroutine[Any, Any, None]]] = [plain, read, closed_early]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_cancelled_at_every_await(
    server: LocalServer,
    program: Any,
    way: Way,
) -> None:
    """No connection is left in use, and every attempt and every call is in the books."""
    side = Side(way.loop)
    server.next(times=None, event_delay=0.0005)  # so that there is something to await between two events
    transport = ChatTransport(responses=MemoryResponses())
    strikes = Strikes(side, lambda: chat_rig(side, server, transport=transport), program, way)
    side.run(strikes.everywhere)
