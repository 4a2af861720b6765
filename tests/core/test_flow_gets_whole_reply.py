"""A flow gets a complete reply, for plain and for streamed calls, and decides what is sent and what is answered."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.testing import Status
from llmstack.testing.scripted import text_body
from tests.core.side import DONE, PREAMBLE, Side, chunk, spoken, texts


def retry_twice(call: Call, next: Next) -> Flow[Reply]:
    for _ in range(2):
        try:
            return (yield from next(call))
        except openai.APIError:
            pass
    return (yield from next(call))


def test_plain_reply_is_complete(side: Side) -> None:
    """What `next` gives for a plain call is the whole reply."""
    rig = side.rig(script=["Hello there"])

    async def program() -> Any:
        return await side.do(rig.create())

    assert side.run(program).choices[0].message.content == "Hello there"
    assert rig.witness.reply.complete
    assert rig.witness.reply.text == "Hello there"


def test_streamed_reply_is_complete(side: Side) -> None:
    """What `next` gives for a streamed call is put together from all chunks, at the end."""
    rig = side.rig(script=[spoken("Hel", "lo")])

    async def program() -> str:
        stream = await side.do(rig.create(stream=True))
        assert rig.witness.replies == []
        return texts(await side.read(stream))

    assert side.run(program) == "Hello"
    assert rig.witness.reply.complete
    assert rig.witness.reply.text == "Hello"
    assert rig.witness.reply.finish_reason == "stop"


def test_the_call_as_changed_reaches_the_wire(side: Side) -> None:
    """A layer passes on a changed call, and the transport gets that one."""

    def rename(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.with_params(model="other", seed=7, without=("temperature",))))

    rig = side.rig([rename], ["Hi"])

    async def program() -> None:
        await side.do(rig.create(temperature=0.5))

    side.run(program)
    (sent,) = rig.sent
    assert sent.model == "other"
    assert sent.params["seed"] == 7
    assert "temperature" not in sent.params
    assert rig.witness.calls[0].model == "m"


def test_the_call_as_changed_reaches_a_real_server(side: Side, server: Any) -> None:
    """The same over a real connection, plain and streamed."""

    def rename(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.with_params(model="other")))

    rig = side.local(server, [rename])

    async def program() -> None:
        await side.do(rig.create())
        await side.read(await side.do(rig.create(stream=True)))
        await side.do(rig.client.close())

    side.run(program)
    assert [request.json["model"] for request in server.requests] == ["other", "other"]


@pytest.mark.parametrize("stream", [False, True])
def test_next_may_be_called_never(side: Side, stream: bool) -> None:  # noqa: FBT001
    """A layer that answers itself sends nothing."""

    def answer(call: Call, next: Next) -> Flow[Reply]:
        return Reply(text_body(call, "from the layer"))
        yield

    rig = side.rig([answer])

    async def program() -> str:
        got = await side.do(rig.create(stream=stream))
        return texts(await side.read(got)) if stream else got.choices[0].message.content

    assert side.run(program) == "from the layer"
    assert rig.sent == []
    assert rig.finished.attempts == 0
    assert rig.finished.outcome == "ok"


@pytest.mark.parametrize("stream", [False, True])
def test_next_may_be_called_many_times(side: Side, stream: bool) -> None:  # noqa: FBT001
    """A layer that retries sends as often as it calls next, with one call to the program's eyes."""
    rig = side.rig([retry_twice], [Status(500), Status(429), "third time"])

    async def program() -> str:
        got = await side.do(rig.create(stream=stream))
        return texts(await side.read(got)) if stream else got.choices[0].message.content

    assert side.run(program) == "third time"
    assert [attempt.outcome for attempt in rig.attempts] == ["error", "error", "ok"]
    assert [attempt.status for attempt in rig.attempts] == [500, 429, 200]
    assert rig.finished.attempts == 3


def test_a_reply_may_be_sent_for_again(side: Side) -> None:
    """A layer may look at a plain reply and call next once more."""

    def until_long(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        while len(reply.text) < 5:
            reply = yield from next(call)
        return reply

    rig = side.rig([until_long], ["no", "well", "certainly"])

    async def program() -> str:
        return (await side.do(rig.create())).choices[0].message.content

    assert side.run(program) == "certainly"
    assert len(rig.sent) == 3


def test_the_body_may_be_replaced_on_the_way_out(side: Side) -> None:
    """A layer that answers with another body gives the program that one."""

    def shout(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        return reply.replace(body=text_body(call, reply.text.upper()))

    rig = side.rig([shout], ["quiet"])

    async def program() -> str:
        return (await side.do(rig.create())).choices[0].message.content

    assert side.run(program) == "QUIET"


@pytest.mark.parametrize("endpoint", ["create", "respond", "complete"])
def test_stream_of_every_endpoint_gives_a_whole_reply(side: Side, endpoint: str) -> None:
    """Chat, Responses and legacy completions: the streamed reply says what the plain one says."""
    rig = side.rig(script=["Hello there", "Hello there"])

    async def program() -> None:
        await side.do(getattr(rig, endpoint)())
        await side.read(await side.do(getattr(rig, endpoint)(stream=True)))

    side.run(program)
    plain, streamed = rig.witness.replies
    assert streamed.complete
    assert streamed.text == plain.text == "Hello there"
    assert streamed.finish_reason == plain.finish_reason


def test_stream_without_an_end_marker_is_incomplete(side: Side) -> None:
    """A stream that just stops ends quietly for the program; the layers know that it was cut short."""
    rig = side.rig(script=[[PREAMBLE, chunk("Hel")]])

    async def program() -> str:
        return texts(await side.read(await side.do(rig.create(stream=True))))

    assert side.run(program) == "Hel"
    assert not rig.witness.reply.complete
    assert rig.finished.outcome == "incomplete"


def test_stream_without_content_is_delivered(side: Side) -> None:
    """A stream that ends before any content gives the program what there was."""
    rig = side.rig(script=[[PREAMBLE, DONE]])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    assert [c.choices[0].delta.role for c in side.run(program)] == ["assistant"]


def test_stream_without_any_event_just_ends(side: Side) -> None:
    """A stream of nothing gives nothing."""
    rig = side.rig(script=[[]])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    assert side.run(program) == []
    assert not rig.witness.reply.complete
