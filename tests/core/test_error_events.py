"""Errors that come as events in a stream, before and after content, in chat and in Responses."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from tests.core.once_more import once_more
from tests.core.side import DONE, PREAMBLE, Side, chunk, event_error, texts, trio_complains

CREATED = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "object": "response"}}
DELTA = {
    "type": "response.output_text.delta",
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "Hel",
}
ERROR = {"type": "error", "code": "server_error", "message": "overloaded", "param": None, "sequence_number": 2}


async def read_until_error(side: Side, stream: Any) -> tuple[list[Any], openai.APIError]:
    return await side.read_until(openai.APIError, stream)


@pytest.mark.parametrize("error", [event_error(), {"error": "overloaded"}], ids=["object", "string"])
def test_the_layers_get_the_error_that_the_sdk_would_raise(side: Side, error: Any) -> None:
    """Message and body are the event's, whether it is an object or a string."""
    rig = side.rig(script=[[PREAMBLE, error]])

    async def program() -> openai.APIError:
        return (await read_until_error(side, await side.do(rig.create(stream=True))))[1]

    raised = side.run(program)
    (thrown,) = rig.witness.errors
    assert isinstance(thrown, openai.APIError)
    assert (thrown.message, thrown.code) == (raised.message, raised.code)
    assert thrown.body == raised.body == error["error"]


@pytest.mark.parametrize("error", [event_error(), {"error": "overloaded"}], ids=["object", "string"])
def test_after_content_the_program_gets_what_came_before(side: Side, error: Any) -> None:
    """Then the error, once for the program and once for the layers."""
    rig = side.rig([once_more], [[PREAMBLE, chunk("Hel"), chunk("lo"), error, chunk("never"), DONE]])

    async def program() -> tuple[list[Any], openai.APIError]:
        return await read_until_error(side, await side.do(rig.create(stream=True)))

    seen, raised = side.run(program)
    assert texts(seen) == "Hello"
    assert raised.body == error["error"]
    assert len(rig.sent) == 1
    assert len(rig.witness.errors) == 1


def test_before_content_a_responses_stream_is_opened_again(side: Side) -> None:
    """`response.created` is no content; an `error` event is an error, though the SDK hands it on."""
    rig = side.rig([once_more], [[CREATED, ERROR], "Hello"])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.respond(stream=True)))

    kinds = [event.type for event in side.run(program)]
    assert kinds.count("response.created") == 1
    assert kinds[-1] == "response.completed"


def test_after_content_a_responses_stream_ends_with_the_error(side: Side) -> None:
    """The events that came, the error event too, then the error that the layers raised."""
    rig = side.rig([once_more], [[CREATED, DELTA, ERROR]])

    async def program() -> tuple[list[Any], openai.APIError]:
        return await read_until_error(side, await side.do(rig.respond(stream=True)))

    seen, raised = side.run(program)
    assert [event.type for event in seen] == ["response.created", "response.output_text.delta", "error"]
    assert raised.message == "overloaded"
    assert rig.finished.outcome == "error"


def test_what_the_layers_make_of_the_error_is_what_the_program_gets(side: Side) -> None:
    """A layer may raise its own instead."""
    from llmstack.errors import RefusedError

    def translates(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        except openai.APIError as error:
            raise RefusedError("said otherwise") from error

    rig = side.rig([translates], [[CREATED, DELTA, ERROR], [PREAMBLE, event_error()]])

    async def program() -> None:
        for call in (rig.respond, rig.create):
            with pytest.raises(RefusedError):
                await side.read(await side.do(call(stream=True)))

    side.run(program)


@trio_complains
def test_over_a_real_connection(side: Side, server: Any) -> None:
    """Before content a retry is seamless; after it the error is the program's. No connection is left."""
    rig = side.local(server, [once_more])
    server.next(fault="error_event", after=1)
    server.next()
    server.next(fault="error_event", after=3)

    async def program() -> None:
        assert texts(await side.read(await side.do(rig.create(stream=True)))) == "You said: Say hello"
        seen, _ = await read_until_error(side, await side.do(rig.create(stream=True)))
        assert texts(seen)
        await side.do(rig.client.close())

    side.run(program)
    assert server.count() == 3
