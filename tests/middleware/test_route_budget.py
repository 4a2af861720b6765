"""Budget around the attempts of a route: each request has a row of its own, of the place that it went to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from llmstack import CallInfo, Usage, hookimpl
from llmstack.effects import drive
from llmstack.middleware import Budget, Retry
from llmstack.middleware.route import HopAnswered
from llmstack.stores import Record
from llmstack.testing import LocalServer, Status
from tests.core.side import PREAMBLE, Side, lost
from tests.middleware.route_gate import WAIT, Gated, racers
from tests.middleware.route_rig import Bench, bench, servers


@pytest.fixture(autouse=True)
def nothing_goes_on() -> Iterator[None]:
    """Whoever lost has ended after the test."""
    yield
    for thread in racers():
        thread.join(WAIT)
    assert racers() == []


class ByHost:
    """Each host has its own price: so many dollars for a million tokens."""

    name = "by-host"

    @hookimpl
    def llmstack_price(self, model: str, usage: Usage, call: CallInfo) -> Decimal | None:
        """By where the request went."""
        dollars = {"a": 1, "b": 20, "c": 300}.get(call.host[:1])
        return None if dollars is None else Decimal(dollars * usage.total_tokens) / 1_000_000


def kept(side: Side, budget: Budget, b: Bench) -> list[Record]:
    """The rows in the order of the requests; nothing is held any more."""
    assert {status.reserved for status in budget.status()} == {0}
    return sorted(drive(budget.ledger.history(), clock=b.rig.clock), key=lambda row: row.number)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_every_hop_has_a_row(side: Side, stream: bool) -> None:  # noqa: FBT001
    """With its host and model, what it cost by the prices of that place, and its retries."""
    budget = Budget(["9 calls/day", "$1/day"])
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
    answer = {"id": "x", "model": "m", "choices": [choice], "usage": usage}
    scripts: dict[str, Any] = {"a": [Status(500), Status(429)], "b": [[PREAMBLE, lost()] if stream else lost()]}
    scripts["c"] = [answer]
    b = bench(
        side, ["a/*", "b/other", "c/*"], scripts, outer=[ByHost(), budget], inner=[Retry(attempts=2)], retries=None,
        retry_ambiguous=True,
    )  # fmt: skip
    b.transports["b"]._default = lost()  # noqa: SLF001 - its retry fails as well
    assert b.go(stream=stream, max_completion_tokens=100) == ["Hi"]
    rows = kept(side, budget, b)
    assert [(row.number, row.host, row.model, row.outcome) for row in rows] == [
        (1, "a.example.com", "m", "error"),
        (2, "a.example.com", "m", "error"),
        (3, "b.example.com", "other", "error"),
        (4, "b.example.com", "other", "error"),
        (5, "c.example.com", "m", "ok"),
    ]
    assert [row.cost for row in rows[:2]] == [0, 0]
    assert rows[4].cost == 7 * 300 * 1000
    # A connection that broke may have cost all that was reserved, by the prices of that place.
    assert [row.estimated for row in rows] == ["", "", "reserved", "reserved", ""]
    assert all(row.cost and row.cost % 20_000 == 0 for row in rows[2:4])
    # Those that were refused count for nothing.
    assert next(status.spent for status in budget.status()) == 3


@pytest.mark.parametrize("winner", ["a", "b"])
def test_the_loser_of_a_hedge_has_a_row(side: Side, winner: str) -> None:
    """Of its own: nothing of the winner's answer is in it. Cancelled, it may have cost all that was reserved."""
    with servers(2) as both:
        g = Gated(side, *both)
        told = ({"prompt_tokens": 1, "completion_tokens": 5}, {"prompt_tokens": 2, "completion_tokens": 5})
        gates = [server.next(fault="hang", usage=usage) for server, usage in zip(both, told, strict=True)]
        answered = threading.Event()
        g.recorder.heard = lambda event: answered.set() if isinstance(event, HopAnswered) else None
        first, second = (0, 1) if winner == "a" else (1, 0)

        def watch() -> None:
            gates[0].wait_reached()
            g.clock.due.set()
            gates[1].wait_reached()
            gates[first].release()
            assert answered.wait(WAIT)
            if side.asynchronous:
                both[second].wait_for(lambda server: server.disconnects == 1)
            gates[second].release()

        g.ask_while(watch)
        assert {status.reserved for status in g.budget.status()} == {0}
        rows = g.rows()
        assert [(row.number, row.host) for row in rows] == [(1, host(both[0])), (2, host(both[1]))]
        won, fell = rows[first], rows[second]
        assert (won.outcome, won.status, won.estimated) == ("ok", 200, "")
        assert won.request_id
        assert won.answered_by == "gpt-5-mini"
        assert won.tokens == {"input": first + 1, "output": 5}
        if side.asynchronous:
            assert (fell.outcome, fell.status, fell.estimated) == ("cancelled", 0, "reserved")
            assert (fell.request_id, fell.answered_by, fell.tokens) == ("", "", {})
            assert fell.cost == fell.reserved > (won.cost or 0)
        else:  # its thread has read the answer
            assert (fell.outcome, fell.status, fell.estimated) == ("ok", 200, "")
            assert fell.tokens == {"input": second + 1, "output": 5}
            assert fell.cost != won.cost


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signals to threads")
def test_an_interrupted_hedge_leaves_nothing() -> None:
    """Ctrl-C in a sync program: both threads read their answers to the end, settle their accounts, send no more."""
    with servers(2) as both:
        g = Gated(Side("sync"), *both)
        gates = [server.gate() for server in both]
        program = threading.get_ident()

        def watch() -> None:
            gates[0].wait_reached()
            g.clock.due.set()
            gates[1].wait_reached()
            signal.pthread_kill(program, signal.SIGINT)

        def afterwards() -> None:
            assert len(racers()) == 2
            for gate in gates:
                gate.release()

        g.ask_while(watch, KeyboardInterrupt, afterwards)
        assert g.recorder.finished.outcome == "cancelled"
        assert [server.count() for server in both] == [1, 1]
        assert g.in_flight == {0}
        assert [(row.number, row.outcome) for row in g.rows()] == [(1, "ok"), (2, "ok")]
        assert {status.reserved for status in g.budget.status()} == {0}


def test_both_sides_of_a_hedge_that_fail_have_rows(side: Side) -> None:
    """And so has the one asked after them."""
    with servers(2) as both:
        g = Gated(side, *both)
        gates = [server.next(503, fault="hang") for server in both]

        def watch() -> None:
            gates[0].wait_reached()
            g.clock.due.set()
            for gate in gates[::-1]:
                gate.wait_reached()
                gate.release()

        g.ask_while(watch, Exception)
        assert {status.reserved for status in g.budget.status()} == {0}
        assert [(row.host, row.outcome, row.status, row.cost) for row in g.rows()] == [
            (host(server), "error", 503, 0) for server in both
        ]


def host(server: LocalServer) -> str:
    """Where a server is."""
    return server.azure_endpoint.removeprefix("http://")
