"""Several flows at once, of which the first that ends counts."""

from __future__ import annotations

import contextvars
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import anyio
import openai
import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.effects import RaceLost, drive, emit, monotonic, race, run, sleep, wait
from llmstack.errors import PluginError
from llmstack.events import AttemptFinished, Event
from llmstack.testing import ScriptedTransport, Status
from llmstack.testing.scripted import text_body
from llmstack.transports import Place
from tests.core.side import MESSAGES, Side, spoken, texts

WAIT = 10.0
"""Seconds after which a test that hangs fails."""


def racers() -> list[threading.Thread]:
    """The threads of races that are not over for all."""
    return [thread for thread in threading.enumerate() if thread.name == "llmstack-race"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Whoever lost in a thread has ended after the test."""
    yield
    for thread in racers():
        thread.join(WAIT)
    assert racers() == []


@pytest.fixture
def never() -> Iterator[Future[None]]:
    """A future that nobody sets during the test."""
    future: Future[None] = Future()
    yield future
    future.set_result(None)


async def once(side: Side, rig: Any, **more: Any) -> Any:
    return await side.do(rig.create(**more))


def test_the_first_result_counts(side: Side, never: Future[None]) -> None:
    """Whichever flow it is; the other's layers end."""
    ended: list[str] = []

    def stuck() -> Flow[Reply]:
        try:
            yield from wait(never)
        finally:
            ended.append("stuck")
        raise AssertionError

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(stuck(), next(call)))

    rig = side.rig([both], ["Hello"])
    reply = side.run(lambda: once(side, rig))
    assert reply.choices[0].message.content == "Hello"
    assert ended == (["stuck"] if side.asynchronous else [])


def test_the_first_error_counts_too(side: Side, never: Future[None]) -> None:
    """Unwrapped; a layer that wants something else says so in its flows."""

    def stuck() -> Flow[Reply]:
        yield from wait(never)
        raise AssertionError

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(stuck(), next(call)))

    rig = side.rig([both], [Status(418)])

    async def program() -> None:
        with pytest.raises(openai.APIStatusError) as caught:
            await once(side, rig)
        assert caught.value.status_code == 418

    side.run(program)
    assert rig.finished.outcome == "error"


def test_a_race_of_one_is_that_one(side: Side) -> None:
    """It runs beside, as several would."""

    def alone(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(next(call)))

    rig = side.rig([alone], ["Hello"])
    assert side.run(lambda: once(side, rig)).choices[0].message.content == "Hello"


def test_a_race_of_none_is_an_error(side: Side) -> None:
    """Nothing would ever end."""

    def none(call: Call, next: Next) -> Flow[Reply]:
        with pytest.raises(ValueError, match="at least one"):
            yield from race()
        return (yield from next(call))

    rig = side.rig([none], ["Hello"])
    side.run(lambda: once(side, rig))


def test_a_race_of_garbage_names_the_layer(side: Side) -> None:
    """It takes flows."""

    def race_garbage(call: Call, next: Next) -> Flow[Reply]:
        yield from race(next(call), "no flow")  # type: ignore[arg-type]
        return (yield from next(call))

    rig = side.rig([race_garbage])

    async def program() -> None:
        with pytest.raises(PluginError, match="race_garbage") as caught:
            await once(side, rig)
        assert "race() takes flows" in str(caught.value.__cause__)

    side.run(program)


def test_the_loser_is_cancelled_where_it_can_be(side: Side) -> None:
    """Its request is in the books as cancelled, its layers hear of it, and may settle what they have to."""
    if not side.asynchronous:
        pytest.skip("threads cannot be cancelled")
    settled: list[str] = []
    started: Future[None] = Future()

    async def settle() -> None:
        await anyio.lowlevel.checkpoint()
        settled.append("settled")

    async def forever() -> None:
        started.set_result(None)
        await anyio.sleep_forever()

    def slow(call: Call, next: Next) -> Flow[Reply]:
        try:
            yield from run(lambda: None, forever)
            return (yield from next(call))
        finally:
            yield from run(lambda: None, settle)

    def quick(call: Call, next: Next) -> Flow[Reply]:
        yield from wait(started)
        return (yield from next(call))

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(slow(call, next), quick(call, next)))

    rig = side.rig([both], ["Hello"])
    side.run(lambda: once(side, rig))
    assert settled == ["settled"]
    assert rig.finished.attempts == 1


def test_the_loser_in_a_thread_settles_its_accounts_and_does_no_more(side: Side) -> None:
    """It reads the answer that it waits for; then it is refused to send, to sleep and to wait."""
    if side.asynchronous:
        pytest.skip("tasks are cancelled")
    gate, over = threading.Event(), threading.Event()
    seen: list[str] = []
    refused: list[str] = []
    pending: Future[None] = Future()

    class Told(Event):
        pass

    def slow(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call.with_params(model="slow"))
        seen.append(reply.text)
        for name, ask in (
            ("next", lambda: next(call)),
            ("sleep", lambda: sleep(60)),
            ("wait", lambda: wait(pending)),
        ):
            try:
                yield from ask()
            except RaceLost:
                refused.append(name)
        yield from run(lambda: seen.append("settled"))
        yield from monotonic()
        yield from emit(Told(call=call.info))
        over.set()
        return reply

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(slow(call, next), next(call)))

    def answer(call: Call) -> str:
        if call.model == "slow":
            assert gate.wait(WAIT)
        return f"from {call.model}"

    rig = side.rig([both], default=answer)
    reply = side.run(lambda: once(side, rig))
    assert reply.choices[0].message.content == "from m"
    assert seen == []
    gate.set()
    assert over.wait(WAIT)
    assert seen == ["from slow", "settled"]
    assert refused == ["next", "sleep", "wait"]
    assert rig.clock.sleeps == []
    assert len(rig.recorder.of(Told)) == 1
    assert [(a.call.model, a.outcome) for a in rig.recorder.of(AttemptFinished)] == [("m", "ok"), ("slow", "ok")]
    assert rig.finished.model == "m"


def test_the_loser_that_only_sleeps_sends_nothing_afterwards(side: Side) -> None:
    """The usual hedge that was not needed costs nothing."""
    gate = threading.Event()

    async def opened() -> None:
        await anyio.sleep_forever()

    def late(call: Call, next: Next) -> Flow[Reply]:
        yield from run(lambda: gate.wait(WAIT), opened)
        return (yield from next(call))

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(next(call), late(call, next)))

    rig = side.rig([both], ["Hello"])
    side.run(lambda: once(side, rig))
    gate.set()
    for thread in racers():
        thread.join(WAIT)
    assert len(rig.sent) == 1


def sleeps(thread: threading.Thread) -> bool:
    """Whether the driver of a thread's flow sleeps."""
    frame: Any = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - nothing public tells
    while frame is not None:
        if frame.f_code.co_name == "sleep" and "_drivers" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def test_the_loser_does_not_sleep_on() -> None:
    """In real time: threads that slept for a minute after each call would pile up."""
    woken: list[str] = []

    def late(next: Next, call: Call) -> Flow[Reply]:
        yield from sleep(3600)
        woken.append("late")
        return (yield from next(call))

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(next(call), late(next, call)))

    def when_it_sleeps(_: Call) -> str:
        until = time.monotonic() + WAIT
        while not any(map(sleeps, racers())):
            assert time.monotonic() < until
        return "Hello"

    transport = ScriptedTransport([when_it_sleeps])
    with llmstack.OpenAI(api_key="k", base_url="http://nobody.invalid", stack=Stack([both], transport=transport)) as c:
        messages: Any = MESSAGES
        assert c.chat.completions.create(model="m", messages=messages).choices[0].message.content == "Hello"
    for thread in racers():
        thread.join(WAIT)
    assert woken == ["late"]
    assert len(transport.calls) == 1


def test_a_streamed_call_is_whole_where_it_races(side: Side, never: Future[None]) -> None:
    """It is read to its end there, and given to the program as a stream."""

    def stuck() -> Flow[Reply]:
        yield from wait(never)
        raise AssertionError

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(stuck(), next(call)))

    rig = side.rig([both], [spoken("Cer", "tainly")])

    async def program() -> str:
        return texts(await side.read(await once(side, rig, stream=True)))

    assert side.run(program) == "Certainly"


def test_the_programs_context_is_seen(side: Side) -> None:
    """What a flow sets stays in it."""
    name = contextvars.ContextVar("name", default="unset")

    def branch(call: Call) -> Flow[Reply]:
        seen = name.get()
        name.set("branch")
        yield from sleep(0)
        return Reply(text_body(call, seen))

    def alone(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from race(branch(call))
        assert name.get() == "program"
        return reply

    rig = side.rig([alone])

    async def program() -> Any:
        name.set("program")
        return await once(side, rig)

    assert side.run(program).choices[0].message.content == "program"


def test_outside_of_a_call() -> None:
    """What asks a store may race, too."""
    never: Future[None] = Future()

    def quick() -> Flow[float]:
        return (yield from monotonic())

    def stuck() -> Flow[float]:
        yield from wait(never)
        raise AssertionError

    assert drive(race(stuck(), quick())) > 0
    never.set_result(None)


def test_a_call_goes_through_another_transport(side: Side) -> None:
    """Of the layer's choice; its host and name are those of that one."""
    other: Any = ScriptedTransport(["from elsewhere", Status(500)])
    other.name = "elsewhere"
    here: list[str] = []

    other.place = Place("https://elsewhere.example.com/v1/")

    def diverts(call: Call, next: Next) -> Flow[Reply]:
        there = call.through(other)
        here.extend((call.transport, there.transport, call.host, there.host))
        return (yield from next(there))

    rig = side.rig([diverts])

    async def program() -> None:
        assert (await once(side, rig)).choices[0].message.content == "from elsewhere"
        with pytest.raises(openai.InternalServerError):
            await once(side, rig)

    side.run(program)
    assert here[:4] == ["scripted", "elsewhere", "scripted.invalid", "elsewhere.example.com"]
    assert rig.sent == []
    assert {attempt.call.host for attempt in rig.attempts} == {"elsewhere.example.com"}


def test_a_call_through_a_transport_without_a_place_goes_where_its_client_points(side: Side) -> None:
    """Whatever place the stack's transport has: hosts, keys and prices go by where it really goes."""
    plain: Any = ScriptedTransport(["from there"] * 2)
    plain.name = "plain"
    seen: list[tuple[str, str]] = []

    def diverts(call: Call, next: Next) -> Flow[Reply]:
        for here in (call, call.aside("moderations", "/moderations", {})):
            there = here.through(plain)
            seen.append((here.host, there.host))
            assert there.place is None
            assert there.credential == call.replace(place=None).credential
        return (yield from next(call.through(plain)))

    rig = side.rig([diverts])
    own: Any = rig.stack.with_transport(placed())
    client = rig.client.with_options(stack=own)

    async def program() -> None:
        messages: Any = MESSAGES
        got = await side.do(client.chat.completions.create(model="m", messages=messages))
        assert got.choices[0].message.content == "from there"

    side.run(program)
    assert seen == [("placed.example.com", "scripted.invalid")] * 2
    assert {attempt.call.host for attempt in rig.attempts} == {"scripted.invalid"}


def placed() -> Any:
    """A transport to a place of its own, that nothing is sent to."""
    transport: Any = ScriptedTransport()
    transport.place = Place("https://placed.example.com/v1/", credential="theirs")
    return transport
