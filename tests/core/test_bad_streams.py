"""A body that is no stream, an event that cannot be read, an end that is none: errors for the layer that asks."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.testing.scripted import text_body
from tests.core.side import DONE, PREAMBLE, Side, chunk, spoken, texts, trio_complains
from tests.core.test_bad_answers import ERROR, HELLO, HTML, WRONG, again, careful


def strict(call: Call, next: Next) -> Flow[Reply]:
    """Asks for ends that say so."""
    return (yield from next(call.replace(strict=True)))


def hold(call: Call, next: Next) -> Flow[Reply]:
    return (yield from next(call.replace(hold=True)))


class Loud:
    """A filter that keeps the last word back."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def feed(self, chunk: Any) -> list[Any]:
        given, self.kept = self.kept, [chunk]
        return given

    def end(self) -> list[Any]:
        return self.kept


def loud(call: Call, next: Next) -> Flow[Reply]:
    return (yield from next(call.with_filter(lambda _: Loud())))


BAD = b'data: {"choices": [{"delta"\n\n'
NO_STREAMS: dict[str, tuple[Any, type[openai.APIError]]] = {
    "html": (HTML, WRONG),
    "empty": (b"", WRONG),
    "json": (json.dumps(text_body(Call(path="", endpoint=""), "Hello")).encode(), WRONG),
    "error": (json.dumps(ERROR).encode(), openai.APIError),
    "bad event": ([BAD, *spoken("Hello")], WRONG),
    "bad event after the preamble": ([PREAMBLE, BAD], WRONG),
}


@pytest.mark.parametrize("body", list(NO_STREAMS))
def test_before_content_it_may_be_sent_again(side: Side, body: str) -> None:
    """The program sees one stream, from its preamble to its end."""
    step, kind = NO_STREAMS[body]
    rig = side.rig([again], [step, spoken("Hel", "lo")])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    chunks = side.run(program)
    assert [c.choices[0].delta.content for c in chunks] == ["", "Hel", "lo", None]
    first, second = rig.attempts
    assert type(first.error) is kind
    assert (first.outcome, first.status, second.outcome) == ("error", 200, "ok")


@pytest.mark.parametrize("body", list(NO_STREAMS))
@pytest.mark.parametrize("layers", [[careful], [careful, hold], [careful, loud]], ids=["plain", "held", "filtered"])
def test_what_no_layer_saves_is_raised(side: Side, body: str, layers: list[Any]) -> None:
    """No chunk with content came before it; the call has one end."""
    step, kind = NO_STREAMS[body]
    rig = side.rig(layers, [step])

    async def program() -> tuple[list[Any], openai.APIError]:
        stream = await side.do(rig.create(stream=True))
        given, error = await side.read_until(openai.APIError, stream)
        assert await side.read(stream) == []
        return given, error

    given, error = side.run(program)
    assert texts(given) == ""
    assert type(error) is kind
    assert rig.witness.errors == [error]
    assert (rig.finished.outcome, rig.finished.status) == ("error", 200)


def test_after_content_what_came_before_stays(side: Side) -> None:
    """Not the bad event nor what follows it. Nothing is sent again."""
    for joined in (False, True):
        rig = side.rig([again], [[PREAMBLE, chunk("Hel"), chunk("lo"), BAD, chunk("never"), DONE]] * 2, joined=joined)

        async def program(rig: Any = rig) -> None:
            given, error = await side.read_until(openai.APIError, await side.do(rig.create(stream=True)))
            assert type(error) is WRONG
            assert texts(given) == "Hello"

        side.run(program)
        assert {attempt.outcome for attempt in rig.attempts} == {"error"}
        # In one piece with what came before it, it was known before anything was delivered.
        assert len(rig.sent) == (2 if joined else 1)


def test_an_unfinished_end_is_an_error_for_who_is_strict(side: Side) -> None:
    """After all that came; held back nothing is seen. Else it is a quiet end and an incomplete reply."""
    cut = [PREAMBLE, chunk("Hel"), chunk("lo")]
    for layers, seen in (([strict], "Hello"), ([strict, loud], "Hello"), ([strict, hold], "")):
        rig = side.rig(layers, [cut])

        async def program(rig: Any = rig) -> Any:
            stream = await side.do(rig.create(stream=True))
            return await side.read_until(openai.APIConnectionError, stream)

        given, error = side.run(program)
        assert texts(given) == seen
        assert error.__cause__ is None
        assert rig.finished.outcome == "error"
        assert rig.finished.error is error

    quiet = side.rig([careful], [cut])

    async def other() -> None:
        assert texts(await side.read(await side.do(quiet.create(stream=True)))) == "Hello"

    side.run(other)
    assert not quiet.witness.reply.complete
    assert quiet.finished.outcome == "incomplete"


def test_an_unfinished_end_before_content_is_sent_again(side: Side) -> None:
    """A role and nothing more, or half an event: one seamless stream."""
    half = [PREAMBLE, b'data: {"choices": [']
    rig = side.rig([again], [[PREAMBLE], spoken("Hello"), half, spoken("Hello"), half, [PREAMBLE]])

    async def program() -> None:
        for _ in range(2):
            assert texts(await side.read(await side.do(rig.create(stream=True)))) == "Hello"
        stream = await side.do(rig.create(stream=True))
        given, _ = await side.read_until(openai.APIConnectionError, stream)
        assert texts(given) == ""

    side.run(program)
    assert [attempt.outcome for attempt in rig.attempts] == ["error", "ok", "error", "ok", "error", "error"]


def test_a_call_that_asks_by_itself_needs_no_layer(side: Side) -> None:
    """An empty stack asks nothing; a strict call through it is told."""
    cut = [PREAMBLE, chunk("Hello")]
    rig = side.rig(script=[cut, cut], bare=True)

    async def program() -> None:
        import llmstack

        assert texts(await side.read(await side.do(rig.create(stream=True)))) == "Hello"
        with llmstack.options(strict=True):
            stream = await side.do(rig.create(stream=True))
        given, _ = await side.read_until(openai.APIConnectionError, stream)
        assert texts(given) == "Hello"

    side.run(program)


READERS = ("bytes", "lines", "text")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("script", "kind", "seen"),
    [
        ([PREAMBLE, chunk("Hel"), chunk("lo"), BAD, DONE], WRONG, "Hel"),
        ([PREAMBLE, chunk("Hel"), chunk("lo")], openai.APIConnectionError, "Hel"),
        ([HTML, b"\n\n"], WRONG, "down"),
    ],
    ids=["bad event", "unfinished", "html"],
)
def test_bytes_come_as_they_are_and_then_the_error(side: Side, reader: str, script: Any, kind: Any, seen: str) -> None:
    """A program that reads no events but bytes, lines or text."""
    rig = side.rig([careful, strict], [script])

    async def program() -> tuple[list[Any], Any]:
        chats = rig.client.chat.completions.with_streaming_response
        manager = chats.create(model="m", messages=[], stream=True)
        if side.asynchronous:
            async with manager as response:
                return await side.read_until(kind, getattr(response, f"iter_{reader}")())
        with manager as response:
            return await side.read_until(kind, getattr(response, f"iter_{reader}")())

    given, error = side.run(program)
    assert type(error) is kind
    assert seen in str(given)
    assert rig.finished.error is error


def test_a_raw_response_is_that_of_the_last_attempt(side: Side) -> None:
    """`with_raw_response` of a stream: what could be sent again was, before it is given."""
    rig = side.rig([again], [HTML, spoken("Hello")])

    async def program() -> list[Any]:
        chats = rig.client.chat.completions.with_raw_response
        response = await side.do(chats.create(model="m", messages=[], stream=True))
        return await side.read(response.parse())

    assert texts(side.run(program)) == "Hello"


def test_responses_are_judged_as_chats_are(side: Side) -> None:
    """A bad event, a body that is no stream, an end without its terminal event."""
    created = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "object": "response"}}
    rig = side.rig([again], [[created, BAD], "Hello", HTML, "Hello", [created], "Hello"])

    async def program() -> None:
        for _ in range(3):
            events = await side.read(await side.do(rig.respond(stream=True)))
            assert [event.type for event in events].count("response.created") == 1
            assert events[-1].type == "response.completed"

    side.run(program)
    errors = [type(attempt.error) for attempt in rig.attempts[::2]]
    assert errors == [WRONG, WRONG, openai.APIConnectionError]


# Over a real connection ---------------------------------------------------------------------------------------------

STREAM_FAULTS: dict[str, tuple[dict[str, Any], type[openai.APIError]]] = {
    "html": ({"fault": "html"}, WRONG),
    "empty": ({"fault": "empty"}, WRONG),
    "error": ({"fault": "error_body"}, openai.APIError),
    "json": ({"status": 200, "body": {"id": "c-1", "choices": []}}, WRONG),
    "bad event": ({"fault": "bad_json_event", "after": 0}, WRONG),
    "no finish": ({"fault": "no_finish", "after": 1}, openai.APIConnectionError),
    "half an event": ({"fault": "truncated_sse", "after": 0}, openai.APIError),
}


@trio_complains
@pytest.mark.parametrize("fault", list(STREAM_FAULTS))
def test_over_a_connection_a_bad_stream_is_sent_again(side: Side, server: Any, fault: str) -> None:
    """Before its first content; the books know the request of each attempt."""
    order, kind = STREAM_FAULTS[fault]
    rig = side.local(server, [again])
    server.next(**order)

    async def program() -> None:
        assert texts(await side.read(await side.do(rig.create(stream=True)))) == HELLO
        await side.do(rig.client.close())

    side.run(program)
    first, second = rig.attempts
    assert isinstance(first.error, kind)
    assert (first.outcome, first.status, second.outcome) == ("error", 200, "ok")
    assert first.request_id is not None
    assert first.request_id != second.request_id
    assert server.count() == 2
