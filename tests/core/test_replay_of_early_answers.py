"""A layer that answers a streaming call early is replayed to the program as the stream it asked for, in every mode."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from llmstack import Call, Flow, Next, Pace, Reply
from llmstack.errors import ReplayError
from llmstack.testing.scripted import text_body
from tests.core.side import MESSAGES, Side, texts

ANSWER = "Hello from the layer"


def answer(call: Call, next: Next) -> Flow[Reply]:
    return Reply(text_body(call, ANSWER), cached=True)
    yield


def test_chat_is_replayed_as_chunks(side: Side) -> None:
    """Chat completions give chunks that say the answer."""
    rig = side.rig([answer])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    chunks = side.run(program)
    assert {type(chunk).__name__ for chunk in chunks} == {"ChatCompletionChunk"}
    assert texts(chunks) == ANSWER
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert rig.finished.cached


@pytest.mark.parametrize("stream", [False, True])
def test_the_response_of_an_early_answer_tells_its_time(side: Side, stream: bool) -> None:  # noqa: FBT001
    """A program that logs how long its requests took does not fail when nothing was sent."""
    rig = side.rig([answer])

    async def program() -> Any:
        raw = rig.client.chat.completions.with_raw_response
        response = await side.do(raw.create(model="m", messages=MESSAGES, stream=stream))
        if stream:
            await side.read(response.parse())
        return response

    response = side.run(program)
    assert response.elapsed == timedelta()


def test_responses_are_replayed_as_events(side: Side) -> None:
    """Responses give their events, from created to completed."""
    rig = side.rig([answer])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.respond(stream=True)))

    events = side.run(program)
    assert events[0].type == "response.created"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == ANSWER


def test_legacy_completions_are_replayed_as_chunks(side: Side) -> None:
    """Legacy completions give theirs."""
    rig = side.rig([answer])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.complete(stream=True)))

    chunks = side.run(program)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == ANSWER


def test_usage_is_replayed_only_if_the_program_asked(side: Side) -> None:
    """A layer further in that asks for the usage does not make it appear."""

    def count(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call.with_params(stream_options={"include_usage": True}))
        return reply.replace(body={**reply.body, "choices": reply.body["choices"]})

    rig = side.rig([count], ["Hello", "Hello"])

    def hold(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.replace(hold=True)))

    held = side.rig([hold, count], ["Hello"])

    async def program() -> tuple[list[Any], list[Any]]:
        await side.read(await side.do(rig.create(stream=True)))
        without = await side.read(await side.do(held.create(stream=True)))
        asked = await side.read(await side.do(rig.create(stream=True, stream_options={"include_usage": True})))
        return without, asked

    without, asked = side.run(program)
    assert texts(without) == "Hello"
    assert [chunk for chunk in without if chunk.usage is not None] == []
    assert asked[-1].usage.total_tokens == 4


@pytest.mark.parametrize("way", ["iter_bytes", "iter_lines", "iter_text", "read"])
def test_replay_under_with_streaming_response(side: Side, way: str) -> None:
    """Who reads bytes, lines or text gets the same events as text."""
    rig = side.rig([answer])

    async def program() -> str:
        manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
        response = await side.do(await manager.__aenter__() if side.asynchronous else manager.__enter__())
        got = getattr(response, way)()
        pieces = [await side.do(got)] if way == "read" else await side.read(got)
        await (manager.__aexit__(None, None, None) if side.asynchronous else _nothing(manager))
        return "".join(piece if isinstance(piece, str) else piece.decode() for piece in pieces)

    text = side.run(program)
    assert text.startswith('data: {"id":')
    assert ANSWER in text
    assert "[DONE]" in text


async def _nothing(manager: Any) -> None:
    manager.__exit__(None, None, None)


def test_replay_under_with_raw_response(side: Side) -> None:
    """`with_raw_response` parses to a stream of chunks."""
    rig = side.rig([answer])

    async def program() -> str:
        raw = await side.do(
            rig.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True)
        )
        assert raw.status_code == 200
        assert raw.headers["content-type"] == "text/event-stream"
        return texts(await side.read(raw.parse()))

    assert side.run(program) == ANSWER


def test_replay_through_the_chat_stream_helper(side: Side) -> None:
    """`.stream()` sees the usual events and puts the completion together."""
    rig = side.rig([answer])

    async def program() -> Any:
        manager = rig.client.chat.completions.stream(model="m", messages=MESSAGES)
        if not side.asynchronous:
            with manager as stream:
                return [event.type for event in stream], stream.get_final_completion()
        async with manager as stream:
            return [event.type async for event in stream], await stream.get_final_completion()

    kinds, completion = side.run(program)
    assert "content.delta" in kinds
    assert completion.choices[0].message.content == ANSWER


def test_replay_through_the_responses_stream_helper(side: Side) -> None:
    """The same for Responses."""
    rig = side.rig([answer])

    async def program() -> Any:
        manager = rig.client.responses.stream(model="m", input="Say hello")
        if not side.asynchronous:
            with manager as stream:
                return stream.get_final_response()
        async with manager as stream:
            return await stream.get_final_response()

    assert side.run(program).output_text == ANSWER


def test_a_reply_that_is_no_stream_is_an_error(side: Side) -> None:
    """A reply without JSON cannot be replayed; the program hears that, and the books close."""

    def empty(call: Call, next: Next) -> Flow[Reply]:
        return Reply(content=b"")
        yield

    rig = side.rig([empty])

    async def program() -> None:
        with pytest.raises(ReplayError):
            await side.do(rig.create(stream=True))

    side.run(program)
    assert rig.finished.outcome == "error"
    assert isinstance(rig.finished.error, ReplayError)


def test_a_held_reply_that_is_no_stream_is_an_error(side: Side) -> None:
    """The same at the end of a stream that was held back: the books know what the program got."""

    def hold(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call.replace(hold=True))
        return Reply(content=b"")

    rig = side.rig([hold], ["Hello"])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        with pytest.raises(ReplayError):
            await side.read(stream)

    side.run(program)
    assert isinstance(rig.finished.error, ReplayError)


def test_streams_that_are_answered_early_are_not_open(side: Side) -> None:
    """Dropping a replay unread leaves nothing to be closed."""
    rig = side.rig([answer])

    async def program() -> None:
        await side.do(rig.create(stream=True))

    side.run(program)
    assert rig.finished.outcome == "ok"


def test_a_replay_can_be_paced(side: Side) -> None:
    """So many characters at a time, with a wait before each event."""

    def paced(call: Call, next: Next) -> Flow[Reply]:
        return Reply(text_body(call, "one two three"), pace=Pace(characters=5, seconds=0.5)).replace(cached=True)
        yield

    rig = side.rig([paced])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    chunks = side.run(program)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "one t", "wo th", "ree", None]
    assert rig.clock.sleeps == [0.5] * 6  # [DONE] too


def test_a_paced_replay_can_be_left(side: Side) -> None:
    """Nothing more is waited for."""

    def paced(call: Call, next: Next) -> Flow[Reply]:
        return Reply(text_body(call, "one two three"), pace=Pace(characters=1, seconds=0.5))
        yield

    rig = side.rig([paced])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        async for _ in side.each(stream):
            break
        await side.close(stream)
        assert await side.read(stream) == []

    side.run(program)
    assert rig.clock.sleeps == [0.5]


@pytest.mark.parametrize("wrong", [{"characters": -1}, {"seconds": -1.0}, {"seconds": float("inf")}])
def test_a_pace_must_come_to_an_end(wrong: dict[str, Any]) -> None:
    """It is refused at once."""
    options: dict[str, Any] = {"characters": 1, "seconds": 1.0, **wrong}
    with pytest.raises(ValueError, match="pace"):
        Pace(**options)


def test_a_raw_stream_has_the_headers_of_the_answer(side: Side) -> None:
    """Those that a layer gave it, but for what they say of its bytes."""

    def told(call: Call, next: Next) -> Flow[Reply]:
        headers = {"x-told": "yes", "content-length": "3", "content-type": "application/json"}
        return Reply(text_body(call, ANSWER), headers=headers)
        yield

    rig = side.rig([told])

    async def program() -> Any:
        raw = await side.do(
            rig.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True)
        )
        assert texts(await side.read(raw.parse())) == ANSWER
        return raw

    headers = side.run(program).headers
    assert headers["x-told"] == "yes"
    assert headers["content-type"] == "text/event-stream"
    assert "content-length" not in headers
