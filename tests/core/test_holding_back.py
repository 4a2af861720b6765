"""`call.replace(hold=True)`: the program sees nothing before the flow has ended, and then what the flow answers."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.errors import RefusedError
from llmstack.testing.scripted import text_body
from tests.core.side import MESSAGES, PREAMBLE, Side, chunk, event_error, lost, spoken, texts


def hold(call: Call, next: Next) -> Flow[Reply]:
    return (yield from next(call.replace(hold=True)))


def test_nothing_is_delivered_before_the_flow_has_ended(side: Side) -> None:
    """When the program gets its first chunk, the layers have seen the whole reply."""
    rig = side.rig([hold], [spoken("Hel", "lo")])

    async def program() -> list[Any]:
        stream = await side.do(rig.create(stream=True))
        seen = []
        async for c in side.each(stream):
            assert rig.witness.reply.text == "Hello"
            seen.append(c)
        return seen

    assert texts(side.run(program)) == "Hello"


def test_unchanged_it_is_delivered_as_it_came(side: Side) -> None:
    """The very events of the wire, cut as they were."""
    rig = side.rig([hold], [spoken("Hel", "lo")])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    assert [c.choices[0].delta.content for c in side.run(program)] == ["", "Hel", "lo", None]


def test_a_layer_that_raises_shows_no_character(side: Side) -> None:
    """The whole reply was there, and the program has got nothing of it."""

    def refuse(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call.replace(hold=True))
        raise RefusedError("not this answer")

    rig = side.rig([refuse], [spoken("Hello")])

    async def program() -> list[Any]:
        stream = await side.do(rig.create(stream=True))
        seen, _ = await side.read_until(RefusedError, stream)
        assert await side.read(stream) == []
        return seen

    assert side.run(program) == []
    assert rig.finished.outcome == "refused"


def test_a_layer_that_raises_shows_no_byte(side: Side) -> None:
    """The same for a program that reads bytes."""

    def refuse(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call.replace(hold=True))
        raise RefusedError("not this answer")

    rig = side.rig([refuse], [spoken("Hello")])

    async def program() -> None:
        manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(RefusedError):
            await (manager.__aenter__() if side.asynchronous else side.do(manager.__enter__()))

    side.run(program)


def test_a_new_body_is_replayed(side: Side) -> None:
    """A layer that answers with another body gives the program that one, as chunks."""

    def shout(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call.replace(hold=True))
        return reply.replace(body=text_body(call, reply.text.upper()))

    rig = side.rig([shout], [spoken("Hel", "lo")])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    chunks = side.run(program)
    assert {type(c).__name__ for c in chunks} == {"ChatCompletionChunk"}
    assert texts(chunks) == "HELLO"


def test_a_reply_may_be_sent_for_again(side: Side) -> None:
    """What was held back was not delivered, so the layer may call next once more."""

    def until_long(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call.replace(hold=True))
        return reply if len(reply.text) > 5 else (yield from next(call.replace(hold=True)))

    rig = side.rig([until_long], [spoken("No"), spoken("Certainly")])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    chunks = side.run(program)
    assert texts(chunks) == "Certainly"
    assert len(rig.sent) == 2


@pytest.mark.parametrize("broken", [lost(), event_error()], ids=["connection", "error-event"])
def test_an_error_after_content_may_be_retried(side: Side, broken: Any) -> None:
    """Content that was held back does not close the door."""

    def again(call: Call, next: Next) -> Flow[Reply]:
        held = call.replace(hold=True)
        try:
            return (yield from next(held))
        except openai.APIError:
            return (yield from next(held))

    rig = side.rig([again], [[PREAMBLE, chunk("Hel"), broken], spoken("Bye")])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    assert texts(side.run(program)) == "Bye"


@pytest.mark.parametrize("broken", [lost(), event_error()], ids=["connection", "error-event"])
def test_an_error_shows_nothing_of_what_was_held(side: Side, broken: Any) -> None:
    """A broken stream that was held back is an error and no content."""
    rig = side.rig([hold], [[PREAMBLE, chunk("secret"), broken]])

    async def program() -> list[Any]:
        stream = await side.do(rig.create(stream=True))
        seen, _ = await side.read_until(openai.APIError, stream)
        return seen

    assert side.run(program) == []


def test_closing_a_held_stream_resumes_the_flow(side: Side) -> None:
    """Nobody waits for the rest."""
    rig = side.rig([hold], [spoken("Hello")])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        await side.close(stream)
        assert await side.read(stream) == []

    side.run(program)
    assert not rig.witness.reply.complete


def test_a_lazily_read_body_can_be_held_and_replaced(side: Side, server: Any) -> None:
    """`with_streaming_response` on a plain call: its bytes are held back too, and another body takes their place."""

    def shout(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call.replace(hold=True))
        return reply.replace(body={**reply.body, "object": "SHOUTED"})

    rig = side.local(server, [shout])
    kept = side.local(server, [hold])

    async def read(client: Any) -> bytes:
        manager = client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES)
        return await side.read_bytes(manager)

    async def program() -> tuple[bytes, bytes]:
        both = await read(rig.client), await read(kept.client)
        await side.do(rig.client.close())
        await side.do(kept.client.close())
        return both

    shouted, unchanged = side.run(program)
    assert b"SHOUTED" in shouted
    assert b'"chat.completion"' in unchanged


def test_an_empty_body_is_no_stream(side: Side, server: Any) -> None:
    """A lazily read answer without any byte is delivered as that."""
    rig = side.local(server, [hold])
    server.next(200, body=b"", headers={"content-type": "application/json"})

    async def program() -> bytes:
        manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES)
        got = await side.read_bytes(manager)
        await side.do(rig.client.close())
        return got

    assert side.run(program) == b""
    assert rig.finished.error is None
