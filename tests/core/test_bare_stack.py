"""A stack without layers stands in nobody's way: nothing is primed, nothing held, errors are the SDK's."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx2
import openai
import pytest

from tests.core.side import MESSAGES, PREAMBLE, Side, chunk, event_error, lost, texts


def test_the_preamble_is_delivered_at_once(side: Side) -> None:
    """Nobody could send again, so nothing waits for content."""
    rig = side.rig(script=[[PREAMBLE, lost()]], bare=True)

    async def program() -> list[Any]:
        stream = await side.do(rig.create(stream=True))
        seen, _ = await side.read_until(openai.APIConnectionError, stream)
        return seen

    assert len(side.run(program)) == 1


def test_with_a_layer_the_preamble_waits_for_what_follows(side: Side) -> None:
    """Through a layer the same program gets the same, but only when the layers have given up."""
    rig = side.rig(script=[[PREAMBLE, lost()]])

    async def program() -> list[Any]:
        stream = await side.do(rig.create(stream=True))
        first = await anext(side.each(stream))
        assert len(rig.witness.errors) == 1
        rest, _ = await side.read_until(openai.APIConnectionError, stream)
        return [first, *rest]

    assert len(side.run(program)) == 1


def test_a_raw_stream_is_not_primed(side: Side, server: Any) -> None:
    """The head is there as soon as it has come, though no byte of the body has."""
    rig = side.local(server, bare=True)
    gate = server.gate(after=0)

    async def program() -> None:
        raw = await side.do(
            rig.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True)
        )
        assert raw.status_code == 200
        gate.release()
        assert texts(await side.read(raw.parse())) == "You said: Say hello"
        await side.do(rig.client.close())

    side.run(program)


def test_a_responses_error_event_just_ends_the_stream(side: Side) -> None:
    """As with the SDK, which hands it on as any other event."""
    error = {"type": "error", "code": "server_error", "message": "overloaded", "param": None, "sequence_number": 1}
    rig = side.rig(script=[[error]], bare=True)

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.respond(stream=True)))

    assert [event.type for event in side.run(program)] == ["error"]


def test_a_chat_error_event_is_the_sdks_error(side: Side) -> None:
    """With what came before it."""
    rig = side.rig(script=[[PREAMBLE, chunk("Hel"), event_error()]], bare=True)

    async def program() -> list[Any]:
        stream = await side.do(rig.create(stream=True))
        seen, error = await side.read_until(openai.APIError, stream)
        assert "overloaded" in str(error)
        return seen

    assert texts(side.run(program)) == "Hel"


@pytest.mark.parametrize("bare", [True, False], ids=["bare", "layered"])
def test_who_reads_bytes_gets_the_http_librarys_errors(side: Side, server: Any, bare: bool) -> None:  # noqa: FBT001
    """As from the SDK, which translates them only for those who read events."""
    rig = side.local(server, bare=bare)
    server.next(fault="cut", after=3)

    async def program() -> None:
        manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
        if side.asynchronous:
            async with manager as response:
                await side.read_until(httpx2.RemoteProtocolError, response.iter_bytes())
        else:
            with manager as response:
                await side.read_until(httpx2.RemoteProtocolError, response.iter_bytes())
        await side.do(rig.client.close())

    side.run(program)
    assert isinstance(rig.finished.error, openai.APIConnectionError)


def test_compressed_streams_are_read(side: Side, server: Any) -> None:
    """Compression is undone once, however the program reads."""
    text = b"data: " + json.dumps(chunk("Hi", finish="stop")).encode() + b"\n\ndata: [DONE]\n\n"
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    rig = side.local(server)
    server.next(200, body=gzip.compress(text), headers=headers, times=2)

    async def program() -> None:
        assert texts(await side.read(await side.do(rig.create(stream=True)))) == "Hi"
        manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
        got = await side.read_bytes(manager)
        assert got == text
        await side.do(rig.client.close())

    side.run(program)
