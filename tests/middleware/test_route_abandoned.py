"""What lost a hedge and goes on: nothing of it piles up, and what is slow is known to be slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from llmstack import Call, Flow, Reply
from llmstack._core.effects import Race
from llmstack.middleware.route import HopFailed
from tests.core.side import MESSAGES, Side
from tests.middleware.route_gate import BOTH, WAIT, racers
from tests.middleware.route_rig import bench

SYNC = Side("sync")


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """Servers hang until this is set."""
    event = threading.Event()
    yield event
    event.set()
    for thread in racers():
        thread.join(WAIT)
    assert racers() == []


def until(event: threading.Event) -> Any:
    """An answer that does not come before that."""

    def step(_: Call) -> str:
        assert event.wait(WAIT)
        return "late"

    return step


def test_a_target_that_hangs_does_not_pile_up_threads(hung: threading.Event) -> None:
    """After some requests that nobody waits for any more it is left alone; then one probe at a time."""
    b = bench(SYNC, BOTH, {"a": [until(hung)] * 40}, hedge_after=2.0, cooldown=30)
    assert b.go(40) == ["from b"] * 40
    # The newest one has not been waited for for a second when it is given up.
    assert b.sent("a") == 9
    assert b.state("a/*") == "cooling"
    (told,) = b.rig.recorder.of(HopFailed)
    assert (told.target, told.kind, told.error, told.cooldown) == ("a/*", "timeout", None, 30)
    assert told.alert == "the target a/* is left alone for 30 s (timeout)"
    assert b.route.status()["a/*"].reason == "timeout"
    assert b.route.status()["a/*"].in_flight == 9
    b.rig.clock.advance(31)
    assert b.go(10) == ["from b"] * 10
    assert b.sent("a") == 10
    hung.set()
    for thread in racers():
        thread.join(WAIT)
    assert {status.in_flight for status in b.route.status().values()} == {0}
    b.rig.clock.advance(31)
    b.transports["a"]._script = iter(())  # noqa: SLF001 - it is well again
    b.go()
    assert b.state("a/*") == "well"


def test_what_always_loses_is_known_to_be_slow(hung: threading.Event) -> None:
    """By how long it was waited for at least: else `latency` would ask it first for ever."""
    b = bench(SYNC, BOTH, {"a": [until(hung)] * 9}, hedge_after=2.0, strategy="latency")
    assert b.go(6) == ["from b"] * 6
    assert b.sent("a") == 1
    assert b.route.status()["a/*"].latency == 2.0
    hung.set()


def test_a_race_that_is_called_off_before_it_begins(side: Side) -> None:
    """No target keeps a call that nobody has sent: a task may be cancelled before its first step."""
    b = bench(side, BOTH, hedge_after=2.0)
    call = Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m", "messages": []})

    def never(_: Call) -> Flow[Reply]:
        raise AssertionError
        yield

    flow = b.route.llmstack_call(call, never)
    effect: Any = None
    while type(effect) is not Race:
        effect = flow.send(None if effect is None else 1000.0)
    assert b.route.status()["a/*"].in_flight == 1
    with pytest.raises(KeyboardInterrupt):
        flow.throw(KeyboardInterrupt())
    assert {status.in_flight for status in b.route.status().values()} == {0}


def test_a_lazily_read_answer_may_be_hedged(side: Side) -> None:
    """It is read whole in the race; the program gets all of it."""
    b = bench(side, BOTH, hedge_after=60.0)

    async def program() -> bytes:
        create = b.rig.client.chat.completions.with_streaming_response.create
        return await side.read_bytes(create(model="m", messages=MESSAGES))

    assert b"from " in side.run(program)
    for thread in racers():
        thread.join(WAIT)
    assert {status.in_flight for status in b.route.status().values()} == {0}
