"""A second target is asked when the first is slow; gates decide who answers first, not wall time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import openai
import pytest

from llmstack import Call
from llmstack.events import AttemptFinished
from llmstack.middleware.route import HopAnswered, HopFailed
from llmstack.testing import Status
from tests.core.side import Side
from tests.middleware.route_gate import BOTH, WAIT, Gated, racers
from tests.middleware.route_rig import bench, servers


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """Whoever lost has ended after the test."""
    yield
    for thread in racers():
        thread.join(WAIT)
    assert racers() == []


def test_the_second_answers_when_the_first_is_slow(side: Side) -> None:
    """The first is cancelled where it can be; in a thread it is read to its end. Both are in the books."""
    with servers(2) as (first, second):
        g = Gated(side, first, second)
        gate = first.gate()
        answered_by_second = threading.Event()
        g.recorder.heard = lambda event: answered_by_second.set() if isinstance(event, HopAnswered) else None

        def watch() -> None:
            gate.wait_reached()
            g.clock.due.set()
            assert answered_by_second.wait(WAIT)
            if side.asynchronous:
                first.wait_for(lambda server: server.disconnects == 1)
            gate.release()

        g.ask_while(watch)
        assert (first.count(), second.count()) == (1, 1)
        (answered,) = g.recorder.of(HopAnswered)
        assert (answered.target, answered.hedged) == ("b/*", True)
        assert g.recorder.of(HopFailed) == []
        outcomes = {attempt.call.host: attempt.outcome for attempt in g.recorder.of(AttemptFinished)}
        hosts = [server.azure_endpoint.removeprefix("http://") for server in (first, second)]
        assert outcomes == {hosts[0]: "cancelled" if side.asynchronous else "ok", hosts[1]: "ok"}
        assert {spent.key: spent.attempts for spent in g.budget.spending("host")} == dict.fromkeys(hosts, 1)
        assert all(spent.cost > 0 for spent in g.budget.spending("host"))
        assert g.recorder.finished.notes["route"] == [
            {"target": "a/*", "outcome": "abandoned"},
            {"target": "b/*", "outcome": "ok"},
        ]
        assert g.in_flight == {0}


def test_the_first_answers_after_all(side: Side) -> None:
    """The second has been asked, and loses."""
    with servers(2) as (first, second):
        g = Gated(side, first, second)
        slow, slower = first.gate(), second.gate()
        answered_by_first = threading.Event()
        g.recorder.heard = lambda event: answered_by_first.set() if isinstance(event, HopAnswered) else None

        def watch() -> None:
            slow.wait_reached()
            g.clock.due.set()
            slower.wait_reached()
            slow.release()
            assert answered_by_first.wait(WAIT)
            slower.release()

        g.ask_while(watch)
        (answered,) = g.recorder.of(HopAnswered)
        assert (answered.target, answered.hedged) == ("a/*", True)
        assert g.in_flight == {0}


def test_a_quick_answer_needs_no_second(side: Side) -> None:
    """Nothing is sent there, then or later."""
    with servers(2) as (first, second):
        g = Gated(side, first, second)
        g.recorder.heard = lambda event: g.clock.due.set() if isinstance(event, HopAnswered) else None
        g.ask_while(lambda: None)
        assert second.count() == 0
        (answered,) = g.recorder.of(HopAnswered)
        assert (answered.target, answered.hedged) == ("a/*", False)
        assert [attempt.outcome for attempt in g.recorder.of(AttemptFinished)] == ["ok"]


def test_a_first_that_fails_before_the_delay_is_followed_at_once(side: Side) -> None:
    """As without hedging."""
    with servers(2) as (first, second):
        g = Gated(side, first, second)
        first.next(503)
        g.recorder.heard = lambda event: g.clock.due.set() if isinstance(event, HopAnswered) else None
        g.ask_while(lambda: None)
        assert (first.count(), second.count()) == (1, 1)
        assert [(hop["target"], hop["outcome"]) for hop in g.recorder.finished.notes["route"]] == [
            ("a/*", "server"),
            ("b/*", "ok"),
        ]


@pytest.mark.parametrize("loser", ["a", "b"])
def test_one_that_fails_waits_for_the_other(side: Side, loser: str) -> None:
    """Its failure is told, but the answer counts."""
    with servers(2) as (first, second):
        g = Gated(side, first, second)
        gates = first.gate(), second.gate()
        failing, winning = (first, gates[1]) if loser == "a" else (second, gates[0])
        told = threading.Event()
        g.recorder.heard = lambda event: told.set() if isinstance(event, HopFailed) else None

        def watch() -> None:
            gates[0].wait_reached()
            g.clock.due.set()
            gates[1].wait_reached()
            failing.stop()
            assert told.wait(WAIT)
            winning.release()

        g.ask_while(watch)
        (answered,) = g.recorder.of(HopAnswered)
        assert answered.target == ("b/*" if loser == "a" else "a/*")
        assert [failed.target for failed in g.recorder.of(HopFailed)] == [f"{loser}/*"]
        assert g.in_flight == {0}


def test_a_request_that_is_wrong_does_not_wait_for_the_second(side: Side) -> None:
    """Without hedging the program would hear of it at once, too. What the second says later counts for nothing."""
    with servers(2) as (first, second):
        g = Gated(side, first, second)
        gates = first.next(400, fault="hang"), second.gate()

        def watch() -> None:
            gates[0].wait_reached()
            g.clock.due.set()
            gates[1].wait_reached()
            gates[0].release()

        g.ask_while(watch, openai.BadRequestError, gates[1].release)
        assert g.recorder.of(HopAnswered) == []
        assert [(failed.target, failed.kind) for failed in g.recorder.of(HopFailed)] == [("a/*", None)]
        assert [hop["outcome"] for hop in g.recorder.finished.notes["route"]] == ["error", "abandoned"]
        assert g.in_flight == {0}


def test_what_is_wrong_at_the_second_is_not_the_programs(side: Side) -> None:
    """It did not ask for that one: the first answers."""
    with servers(2) as (first, second):
        g = Gated(side, first, second)
        second.next(400)
        gate, told = first.gate(), threading.Event()
        g.recorder.heard = lambda event: told.set() if isinstance(event, HopFailed) else None

        def watch() -> None:
            gate.wait_reached()
            g.clock.due.set()
            assert told.wait(WAIT)
            gate.release()

        g.ask_while(watch)
        (answered,) = g.recorder.of(HopAnswered)
        assert (answered.target, answered.hedged) == ("a/*", True)


def test_two_answers_at_once_are_one() -> None:
    """What the program gets is what the events tell, whichever thread comes first."""
    side = Side("sync")
    both = threading.Barrier(2)

    def together(name: str) -> Callable[[Call], str]:
        def step(_: Call) -> str:
            both.wait(WAIT)
            return f"from {name}"

        return step

    for _ in range(50):
        b = bench(side, BOTH, {"a": [together("a")], "b": [together("b")]}, hedge_after=0.0)
        (said,) = b.go()
        assert [f"from {target[0]}" for target in b.answered] == [said]
        assert [f"from {target[0]}" for target, outcome in b.notes if outcome == "ok"] == [said]
        for thread in racers():
            thread.join(WAIT)
        assert {status.in_flight for status in b.route.status().values()} == {0}


def test_when_both_fail_the_next_is_asked(side: Side) -> None:
    """And if there is none, the error of the last goes to the program, with what was tried."""
    started = threading.Barrier(2)

    def failing(call: Call) -> Any:
        if side.asynchronous:
            return Status(500)
        started.wait(WAIT)
        return Status(500)

    b = bench(side, ["a/*", "b/*", "c/*"], {"a": [failing], "b": [failing]}, hedge_after=0.0)
    assert b.go() == ["from c"]
    assert {failed.target for failed in b.failed} == {"a/*", "b/*"}
    assert b.notes[-1] == ("c/*", "ok")

    b = bench(side, ["a/*", "b/*"], {"a": [failing], "b": [failing]}, hedge_after=0.0)

    async def program() -> None:
        with pytest.raises(openai.InternalServerError) as caught:
            await b.ask()
        (told,) = caught.value.__notes__
        assert "a/* (server)" in told
        assert "b/* (server)" in told

    side.run(program)
    assert {status.in_flight for status in b.route.status().values()} == {0}


def test_streams_are_not_hedged(side: Side) -> None:
    """They would be read to their end before the program saw anything."""
    b = bench(side, BOTH, {"a": ["streamed"]}, hedge_after=0.0)
    assert b.go(stream=True) == ["streamed"]
    assert b.sent("b") == 0
    assert b.rig.clock.sleeps == []


def test_there_is_no_second_where_there_is_only_one_target(side: Side) -> None:
    """Or where all others are left alone."""
    b = bench(side, ["a/*"], hedge_after=0.0)
    assert b.go() == ["from a"]
    assert b.rig.clock.sleeps == []


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_cancelled_program_cancels_both(loop: str) -> None:
    """Both connections close, and nothing stays in flight."""
    with servers(2) as (first, second):
        g = Gated(Side(loop), first, second)
        gates = first.gate(), second.gate()

        async def program() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(g.ask)
                g.clock.due.set()
                for gate in gates:
                    await anyio.to_thread.run_sync(gate.wait_reached)
                group.cancel_scope.cancel()
            await g.close()

        g.side.run(program)
        assert g.in_flight == {0}
        assert [attempt.outcome for attempt in g.recorder.of(AttemptFinished)] == ["cancelled"] * 2
        assert g.recorder.finished.outcome == "cancelled"
        assert [hop["outcome"] for hop in g.recorder.finished.notes["route"]] == ["abandoned"] * 2
