"""Each hop of a route is a send with retries, time, circuit, budget, request and books of its own."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.errors import BudgetExceededError, CircuitOpenError
from llmstack.middleware import Budget, Cache, CircuitBreaker, Retry, Target
from llmstack.middleware.route import DEFAULT, HEADER
from llmstack.testing import Status
from tests.core.side import MESSAGES, Side
from tests.middleware.route_rig import ALL, bench, refused


def test_each_hop_has_its_own_retries(side: Side) -> None:
    """Retry is further in; `retries` gives it another number."""
    script = {"a": [refused(500)] * 3, "b": [refused(500)] * 2}
    b = bench(side, ["a/*", "b/*"], script, inner=[Retry(attempts=3)])
    assert b.go() == ["from b"]
    assert (b.sent("a"), b.sent("b")) == (3, 3)
    assert b.rig.finished.attempts == 6

    b = bench(side, ["a/*", Target(transport="b", retries=2)], script, inner=[Retry(attempts=3)], retries=0)
    assert b.go() == ["from b"]
    assert (b.sent("a"), b.sent("b")) == (1, 3)


def test_a_hop_may_have_a_time_out_of_its_own(side: Side) -> None:
    """The route's, or the target's."""
    b = bench(side, ["a/*", Target(transport="b", timeout=7)], {"a": [refused(500)]}, timeout=5)
    b.go()
    assert [call.timeout for name in "ab" for call in b.transports[name].calls] == [5, 7]


def test_no_time_left_is_no_time_for_another(side: Side) -> None:
    """A deadline bounds all targets together."""
    import llmstack

    def slow(call: Call) -> Status:
        b.rig.clock.advance(11)
        return refused(500)

    b = bench(side, ALL, {"a": [slow]})

    async def program() -> None:
        with llmstack.options(deadline=10), pytest.raises(openai.InternalServerError):
            await b.ask()

    side.run(program)
    assert b.sent("b") == 0


def test_a_circuit_that_is_open_is_the_next_targets_chance(side: Side) -> None:
    """And the target is left alone for as long."""
    retry = Retry(attempts=1, breaker=CircuitBreaker(min_calls=1, open_for=40), budget=None)
    b = bench(side, ["a/*", "b/*"], {"a": [refused(500)]}, inner=[retry], failures=9)
    assert b.go(2) == ["from b", "from b"]
    assert [failed.kind for failed in b.failed] == ["server", "circuit"]
    assert isinstance(b.failed[1].error, CircuitOpenError)
    assert b.failed[1].cooldown == 40
    assert b.sent("a") == 1


def test_a_budget_that_is_spent_may_lead_to_a_cheaper_target(side: Side) -> None:
    """If `on` names it: the budget has no room for this model."""

    def costs(call: Call, next: Next) -> Flow[Reply]:
        def around(call: Call, next: Next) -> Flow[Reply]:
            if call.model == "dear":
                raise BudgetExceededError("no room")
            return (yield from next(call))

        return (yield from next(call.around_attempts(around)))

    b = bench(side, ["a/dear", "a/cheap"], outer=[costs], on=[*DEFAULT, "budget"])
    assert b.go() == ["from a"]
    assert b.notes == [("a/dear", "budget"), ("a/cheap", "ok")]
    assert b.state("a/dear") == "well"

    b = bench(side, ["a/dear", "a/cheap"], outer=[costs])

    async def program() -> None:
        with pytest.raises(BudgetExceededError):
            await b.ask()

    side.run(program)


def test_the_model_is_replaced_and_what_it_does_not_take_left_out(side: Side) -> None:
    """Each target gets a request that it understands."""
    target = Target("other", "b", params={"service_tier": "flex"}, without=["reasoning_effort"])
    b = bench(side, ["a/*", target], {"a": [refused(500)]})
    b.go(reasoning_effort="low")
    (first,), (second,) = b.transports["a"].calls, b.transports["b"].calls
    assert (first.params["model"], first.params["reasoning_effort"]) == ("m", "low")
    assert (second.params["model"], second.params["service_tier"]) == ("other", "flex")
    assert "reasoning_effort" not in second.params


def test_a_target_without_a_transport_is_the_stacks(side: Side) -> None:
    """Only the model changes."""
    b = bench(side, ["x", "y"], script=[refused(500), "Hello"])
    assert b.go() == ["Hello"]
    assert [call.model for call in b.rig.sent] == ["x", "y"]
    assert b.notes == [("x", "server"), ("y", "ok")]


def test_another_models_answer_is_kept_by_no_cache(side: Side) -> None:
    """The same model's at another transport is."""
    b = bench(side, ["a/*", "b/other"], {"a": [refused(500)]}, outer=[Cache(when="always")])
    assert b.go(3) == ["from b", "from a", "from a"]
    assert (b.sent("a"), b.sent("b")) == (2, 1)
    assert [reply.no_store for reply in b.rig.witness.replies] == [True, False, False]


def test_the_answers_header_names_the_target(side: Side) -> None:
    """For the layers further out, and for a program that looks at raw responses."""
    b = bench(side, ALL, {"a": [refused(500)]})

    async def program() -> str:
        messages: Any = MESSAGES
        raw = await side.do(b.rig.client.chat.completions.with_raw_response.create(model="m", messages=messages))
        assert raw.parse().choices[0].message.content == "from b"
        named: str = raw.headers[HEADER]
        return named

    assert side.run(program) == "b/*"
    assert b.rig.witness.reply.headers[HEADER] == "b/*"


def test_every_hop_is_in_the_budgets_books(side: Side) -> None:
    """Under the host that it was sent to."""
    budget = Budget(["9 calls/day"])
    b = bench(side, ALL, {"a": [refused(500)]}, outer=[budget])
    b.go()
    assert {spent.key: spent.attempts for spent in budget.spending("host")} == {"a.example.com": 1, "b.example.com": 1}
