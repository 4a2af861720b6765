"""Every call has exactly one CallFinished, whatever its end, and its fields are right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import anyio
import openai
import pytest

from llmstack import Call, Flow, Next, Reply, hookimpl
from llmstack.effects import sleep
from llmstack.events import AttemptFinished, AttemptStarted, CallFinished, CallStarted, Event
from llmstack.testing import Status
from llmstack.testing.scripted import text_body
from tests.core.side import MESSAGES, PREAMBLE, Side, chunk, event_error, lost, spoken

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


class Price:
    """Ten dollars a token."""

    name = "price"

    @hookimpl
    def llmstack_price(self, model: str, usage: Any) -> Decimal:
        return Decimal(10) * usage.total_tokens


def test_a_plain_calls_fields(side: Side) -> None:
    """Outcome, status, model, usage, cost, attempts, finish reason; the whole story in order."""
    rig = side.rig([Price()], ["Hello there"])

    async def program() -> None:
        await side.do(rig.create())

    side.run(program)
    finished = rig.finished
    assert [type(event) for event in rig.recorder.events] == [
        CallStarted,
        AttemptStarted,
        AttemptFinished,
        CallFinished,
    ]
    assert (finished.outcome, finished.status, finished.model, finished.attempts) == ("ok", 200, "m", 1)
    assert (finished.finish_reason, finished.cached, finished.error) == ("stop", False, None)
    assert finished.usage is not None
    assert finished.usage.total_tokens == 5
    assert finished.cost == Decimal(50)
    assert finished.time_to_first_chunk is None
    assert finished.call.endpoint == "chat.completions"


def test_a_streams_fields(side: Side) -> None:
    """The same from its chunks; the duration includes the program's reading."""
    usage = {**chunk(), "choices": [], "usage": USAGE}
    script = [[*spoken("Hel", "lo")[:-1], usage, "[DONE]"]]
    rig = side.rig([Price()], script)

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        rig.clock.advance(1)
        first = True
        async for _ in side.each(stream):
            if first:
                rig.clock.advance(4)
            first = False
        assert rig.finished

    side.run(program)
    finished = rig.finished
    assert (finished.outcome, finished.model, finished.finish_reason) == ("ok", "m", "stop")
    assert finished.cost == Decimal(50)
    assert finished.time_to_first_chunk == 1
    assert finished.duration == 5
    (attempt,) = rig.attempts
    assert attempt.duration == 5
    assert attempt.usage == finished.usage


def test_durations_include_what_the_layers_slept(side: Side) -> None:
    """The call's; an attempt's is its own."""

    def patient(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        except openai.APIError:
            yield from sleep(7)
            return (yield from next(call))

    rig = side.rig([patient], [Status(500), "Hello"])

    async def program() -> None:
        await side.do(rig.create())

    side.run(program)
    assert rig.finished.duration == 7
    assert [attempt.duration for attempt in rig.attempts] == [0, 0]
    assert [attempt.number for attempt in rig.attempts] == [1, 2]


@pytest.mark.parametrize("stream", [False, True])
def test_a_cached_answer(side: Side, stream: bool) -> None:  # noqa: FBT001
    """Nothing was sent, and nothing is to be paid."""

    def cached(call: Call, next: Next) -> Flow[Reply]:
        return Reply(text_body(call, "Hello"), cached=True)
        yield

    rig = side.rig([cached, Price()])

    async def program() -> None:
        got = await side.do(rig.create(stream=stream))
        if stream:
            await side.read(got)

    side.run(program)
    assert (rig.finished.cached, rig.finished.attempts, rig.finished.outcome) == (True, 0, "ok")
    assert rig.finished.cost == Decimal(0)
    assert rig.finished.time_to_first_chunk == (0 if stream else None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_call(side: Side, stream: bool) -> None:  # noqa: FBT001
    """Status and error are the provider's."""
    rig = side.rig(script=[Status(429)])

    async def program() -> BaseException:
        with pytest.raises(openai.RateLimitError) as caught:
            await side.do(rig.create(stream=stream))
        return caught.value

    error = side.run(program)
    assert (rig.finished.outcome, rig.finished.status, rig.finished.error) == ("error", 429, error)
    (attempt,) = rig.attempts
    assert (attempt.outcome, attempt.status) == ("error", 429)


@pytest.mark.parametrize("broken", [lost(), event_error()], ids=["connection", "error-event"])
def test_a_stream_that_breaks(side: Side, broken: Any) -> None:
    """The attempt and the call have failed."""
    rig = side.rig(script=[[PREAMBLE, chunk("Hel"), broken]])

    async def program() -> None:
        with pytest.raises(openai.APIError):
            await side.read(await side.do(rig.create(stream=True)))

    side.run(program)
    assert rig.finished.outcome == "error"
    assert [attempt.outcome for attempt in rig.attempts] == ["error"]


def test_notes_are_told_at_the_end(side: Side) -> None:
    """What layers noted about the call."""

    def notes(call: Call, next: Next) -> Flow[Reply]:
        call.note(route="cheap")
        reply = yield from next(call.with_params(seed=1))
        call.note(words=len(reply.text.split()))
        return reply

    rig = side.rig([notes], ["Hello there"])

    async def program() -> None:
        await side.do(rig.create())

    side.run(program)
    assert dict(rig.finished.notes) == {"route": "cheap", "words": 2}


def test_an_answer_that_the_sdk_cannot_parse(side: Side, server: Any) -> None:
    """The call has failed, though a reply had come; the SDK's own error is the program's."""
    rig = side.local(server)
    server.next(200, body=b"{", headers={"content-type": "application/json"})

    async def program() -> None:
        with pytest.raises(ValueError, match="Expecting"):
            await side.do(rig.create())
        await side.do(rig.client.close())

    side.run(program)
    assert rig.finished.outcome == "error"
    assert isinstance(rig.finished.error, ValueError)
    assert [attempt.outcome for attempt in rig.attempts] == ["ok"]


def test_a_cancelled_call(side: Side) -> None:
    """Books of a call whose task was cancelled."""
    if not side.asynchronous:
        pytest.skip("tasks are for event loops")

    def slow(call: Call, next: Next) -> Flow[Reply]:
        yield from sleep(1)
        return (yield from next(call))

    rig = side.rig([slow])

    async def program() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await rig.create()

    side.run(program)
    assert rig.finished.outcome == "cancelled"
    assert rig.finished.attempts == 0


class Fussy:
    """An observer that is interrupted at one kind of event."""

    name = "fussy"

    def __init__(self, kind: type[Event]) -> None:
        self.kind = kind

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        if type(event) is self.kind:
            self.kind = Event
            raise SystemExit


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [CallStarted, AttemptStarted, AttemptFinished, CallFinished])
def test_an_interruption_in_an_observer_propagates(side: Side, kind: type[Event], stream: bool) -> None:  # noqa: FBT001
    """Books are closed all the same, towards the other observers."""
    rig = side.rig(script=["Hello"])
    # Inner observers hear last, and the recorder shall have heard what the interrupted one was told.
    stack = type(rig.stack)([rig.witness, rig.recorder, Fussy(kind)], transport=rig.transport, clock=rig.clock)
    client = rig.client.with_options(stack=stack)

    async def program() -> None:
        got = await side.do(client.chat.completions.create(model="m", messages=MESSAGES, stream=stream))
        if stream:
            await side.read(got)

    with pytest.raises(SystemExit):
        side.run(program)
    assert len(rig.recorder.of(CallFinished)) == 1
    assert len(rig.recorder.of(AttemptStarted)) == len(rig.recorder.of(AttemptFinished))


def test_nobody_listens_and_nothing_is_built(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an observer no event is made."""
    from llmstack import Stack
    from llmstack._core import books

    def never(**fields: Any) -> None:
        raise AssertionError

    for name in ("CallStarted", "AttemptStarted", "AttemptFinished", "CallFinished"):
        monkeypatch.setattr(books, name, never)
    rig = side.rig(script=["Hello", spoken("Hello")])
    client = rig.client.with_options(stack=Stack([rig.witness], transport=rig.transport))

    async def program() -> None:
        await side.do(client.chat.completions.create(model="m", messages=MESSAGES))
        await side.read(await side.do(client.chat.completions.create(model="m", messages=MESSAGES, stream=True)))

    side.run(program)
