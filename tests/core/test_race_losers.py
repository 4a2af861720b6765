"""Who loses a race ends: at once where it can be cancelled, and does no more where it cannot."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Future
from typing import Any

import anyio
import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.effects import RaceLost, emit, monotonic, race, run, sleep, wait
from llmstack.events import AttemptFinished, Event
from llmstack.testing import ScriptedTransport
from tests.core.one_call import once
from tests.core.races import WAIT, racers
from tests.core.refusals import refusals
from tests.core.side import MESSAGES, Side

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


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

    class Told(Event):
        pass

    def slow(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call.with_params(model="slow"))
        seen.append(reply.text)
        refused.extend((yield from refusals(call, next, RaceLost)))
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
