"""Conversations that go on from a response, where the server keeps none."""

from __future__ import annotations

from typing import Any

import pytest

import llmstack
from llmstack.errors import UnsupportedError
from llmstack.testing import LocalServer
from llmstack.testing.local_server import TOOL_MARKER
from llmstack.transports import ChatTransport, MemoryResponses
from tests.core.side import Rig, Side
from tests.transports.chat_rig import MODEL, WEATHER, chat_rig, play


def keeping() -> tuple[MemoryResponses, ChatTransport]:
    """A store, and a transport that keeps responses there."""
    store = MemoryResponses()
    return store, ChatTransport(responses=store)


async def respond(side: Side, rig: Rig, *, stream: bool, **more: Any) -> Any:
    """A response, made at once or from a stream."""
    result = await side.do(rig.client.responses.create(model=MODEL, stream=stream, **more))
    return (await side.read(result))[-1].response if stream else result


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_conversation_goes_on(side: Side, server: LocalServer, stream: bool) -> None:  # noqa: FBT001
    """Turn after turn, calls and their results included; the instructions are those of the request."""
    rig = chat_rig(side, server, transport=keeping()[1])

    async def program() -> None:
        first = await respond(side, rig, stream=stream, input=f"{TOOL_MARKER} Rome", tools=[WEATHER],
                              instructions="Be brief")  # fmt: skip
        (call,) = first.output
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        second = await respond(side, rig, stream=stream, input=[result], previous_response_id=first.id)
        assert second.previous_response_id == first.id
        assert second.output_text == "Tool said: sunny"
        third = await respond(side, rig, stream=stream, input="Thanks", previous_response_id=second.id)
        assert third.output_text == "You said: Thanks"

    play(side, program, rig)
    bodies = [request.json for request in server.requests]
    assert [[message["role"] for message in body["messages"]] for body in bodies] == [
        ["system", "user"],
        ["user", "assistant", "tool"],
        ["user", "assistant", "tool", "assistant", "user"],
    ]
    assert all("previous_response_id" not in body for body in bodies)
    asked, called, told, said, _ = bodies[2]["messages"]
    assert asked["content"] == f"{TOOL_MARKER} Rome"
    assert called["tool_calls"][0]["id"] == told["tool_call_id"]
    assert (told["content"], said["content"]) == ("sunny", "Tool said: sunny")


def test_a_response_can_be_retrieved(side: Side, server: LocalServer) -> None:
    """As it was; but not as a stream, and nothing else can be done to it."""
    rig = chat_rig(side, server, transport=keeping()[1])

    async def program() -> None:
        responses = rig.client.responses
        made = await respond(side, rig, stream=False, input="Hello")
        assert (await side.do(responses.retrieve(made.id))).to_dict() == made.to_dict()
        raw = await side.do(responses.with_raw_response.retrieve(made.id))
        assert raw.parse().output_text == made.output_text
        with pytest.raises(UnsupportedError, match="not as a stream"):
            await side.do(responses.retrieve(made.id, stream=True))
        with pytest.raises(UnsupportedError, match=r"^responses\.delete needs"):
            await side.do(responses.delete(made.id))

    play(side, program, rig)
    assert server.count() == 1


def test_each_tenant_has_its_own(side: Side, server: LocalServer) -> None:
    """Nobody goes on from another's conversation, or reads it."""
    rig = chat_rig(side, server, transport=keeping()[1])

    async def program() -> None:
        with llmstack.options(tenant="a"):
            made = await respond(side, rig, stream=False, input="private words")
            assert (await side.do(rig.client.responses.retrieve(made.id))).id == made.id
        for tenant in ("b", None):
            with llmstack.options(tenant=tenant):
                with pytest.raises(UnsupportedError, match=rf"^no response '{made.id}' is kept here"):
                    await side.do(rig.client.responses.retrieve(made.id))
                with pytest.raises(UnsupportedError, match="send the whole conversation as `input`"):
                    await respond(side, rig, stream=True, input="x", previous_response_id=made.id)

    play(side, program, rig)
    assert server.count() == 1


def test_ids_that_a_server_gives_twice_are_told_apart(side: Side, server: LocalServer) -> None:
    """Some count no further than a thousand, some give none."""
    store, transport = keeping()
    rig = chat_rig(side, server, transport=transport)
    message = {"role": "assistant", "content": "Hi"}
    server.script(lambda _: {"id": "", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    async def program() -> None:
        ids = {(await respond(side, rig, stream=False, input="Hello")).id for _ in range(3)}
        assert len(ids) == 3

    play(side, program, rig)
    assert len(store) == 3


def test_what_is_not_to_be_kept_is_not(side: Side, server: LocalServer) -> None:
    """Nor what failed, nor a stream that was left or that just stopped."""
    store, transport = keeping()
    rig = chat_rig(side, server, transport=transport)

    async def program() -> None:
        for stream in (False, True):
            await respond(side, rig, stream=stream, input="Hello", store=False)
        left = await side.do(rig.client.responses.create(model=MODEL, input="Hello", stream=True))
        await side.close(left)
        server.next(fault="no_finish", after=2)
        stopped = await side.do(rig.client.responses.create(model=MODEL, input="Hello", stream=True))
        assert len(await side.read(stopped)) > 0
        choice = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "error"}
        server.next(200, body={"id": "c", "choices": [choice]})
        failed = await respond(side, rig, stream=False, input="Hello")
        assert (failed.status, failed.error.code) == ("failed", "server_error")

    play(side, program, rig)
    assert len(store) == 0


def test_a_store_that_fails_takes_no_answer_away(
    side: Side, server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It was paid for. Nothing of what was to be kept is told."""

    class Broken(MemoryResponses):
        def put(self, *_: Any, **__: Any) -> None:
            raise OSError("private words")

    rig = chat_rig(side, server, transport=ChatTransport(responses=Broken()))

    async def program() -> None:
        for stream in (False, True):
            response = await respond(side, rig, stream=stream, input="Hello")
            assert response.output_text == "You said: Hello"

    play(side, program, rig)
    told = [record.getMessage() for record in caplog.records if record.name == "llmstack.transports"]
    assert told == ["a response could not be kept: OSError in Broken"] * 2
