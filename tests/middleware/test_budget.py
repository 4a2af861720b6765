"""Budget: reserve before, settle after."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest

import llmstack
from llmstack.effects import drive
from llmstack.errors import BudgetExceededError, OptionError, UnknownPriceError
from llmstack.middleware import Budget, Cache, Moderation, Retry
from llmstack.middleware.budget import BudgetAlert, BudgetDegraded, BudgetExceeded, CostBooked, Limit, Window
from llmstack.testing import LocalServer
from tests.middleware.budget_rig import PRICES, Bench

Make = Callable[..., Bench]


@pytest.fixture
def bench(server: LocalServer) -> Iterator[Make]:
    """Makes benches; afterwards none may hold anything."""
    made: list[Bench] = []

    def make(*args: Any, **options: Any) -> Bench:
        made.append(Bench(server, *args, **options))
        return made[-1]

    yield make
    for one in made:
        assert not any(one.held())
        one.close()


def test_a_call_costs_what_the_provider_says_it_took(bench: Make) -> None:
    """Not what was reserved for it."""
    one = bench()
    usage = one.ask().usage
    row = one.row()
    assert row.cost == usage.prompt_tokens * 1_000 + usage.completion_tokens * 10_000
    assert row.reserved > 1_000_000 > one.cost()
    assert (row.outcome, row.status, row.estimated, row.number) == ("ok", 200, "", 1)
    (status,) = one.budget.status()
    assert status.spent == Decimal(one.cost()) / 10**9
    (booked,) = one.events(CostBooked)
    assert booked.cost == status.spent


def test_a_stream_costs_the_same(bench: Make) -> None:
    """Its usage is asked for, and hidden from a program that did not ask."""
    one = bench()
    one.ask()
    assert all(chunk.usage is None for chunk in one.ask(stream=True))
    plain, streamed = one.rows()
    assert plain.cost == streamed.cost
    assert streamed.estimated == ""


def test_a_stream_that_is_left_costs_what_was_seen_of_it(bench: Make) -> None:
    """By an estimate: the usage, which comes last, has not come."""
    one = bench()
    gate = one.server.gate(after=3)
    stream = one.ask(stream=True)
    next(iter(stream))
    assert one.held() == [Decimal(one.budget.status()[0].reserved)]
    assert one.held() != [0]
    stream.close()
    gate.release()
    row = one.row()
    assert (row.outcome, row.estimated) == ("incomplete", "usage")
    assert 0 < one.cost() < row.reserved


def test_a_stream_whose_usage_must_not_be_asked_for_is_estimated(bench: Make) -> None:
    """For servers that do not know how to tell it."""
    one = bench(stream_usage=False)
    list(one.ask(stream=True))
    assert "stream_options" not in one.server.requests[-1].json
    assert (one.row().outcome, one.row().estimated) == ("ok", "usage")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 503])
def test_an_answer_of_an_error_costs_nothing(bench: Make, status: int) -> None:
    """It was not executed."""
    one = bench()
    one.server.next(status=status)
    with pytest.raises(openai.APIStatusError):
        one.ask()
    assert (one.row().cost, one.row().outcome, one.row().status) == (0, "error", status)
    assert one.budget.status()[0].spent == 0


@pytest.mark.parametrize("fault", ["close", "reset", "garbage", "bad_length"])
def test_what_became_of_is_not_known_costs_all_that_was_reserved(bench: Make, fault: Any) -> None:
    """It may have been executed."""
    one = bench()
    one.server.next(fault=fault)
    with pytest.raises(openai.APIConnectionError):
        one.ask()
    row = one.row()
    assert (row.estimated, row.outcome, row.cost) == ("reserved", "error", row.reserved)
    assert one.budget.status()[0].spent == Decimal(row.reserved) / 10**9


def test_what_never_left_costs_nothing(server: LocalServer) -> None:
    """Nobody was there."""
    one = Bench(server)
    client = one.client.with_options(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "hi"}], max_tokens=5)
    assert (one.row().cost, one.row().status) == (0, 0)
    client.close()
    one.close()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, ("", 0)),
        (None, ("usage", None)),
        ({"prompt_tokens": -5, "completion_tokens": "many"}, ("usage", None)),
    ],
)
def test_a_usage_that_is_none_is_estimated_and_one_of_zero_is_zero(bench: Make, usage: Any, expected: Any) -> None:
    """The provider's word counts if it is one."""
    one = bench()
    one.server.next(fault="usage", usage=usage)
    one.ask()
    row = one.row()
    assert row.estimated == expected[0]
    assert one.cost() > 0 if expected[1] is None else one.cost() == expected[1]


def test_a_stream_that_breaks_costs_what_was_seen_of_it(bench: Make) -> None:
    """Content had come."""
    one = bench()
    one.server.next(fault="cut", after=3)
    with pytest.raises(openai.APIConnectionError):
        list(one.ask(stream=True))
    assert (one.row().outcome, one.row().estimated) == ("error", "usage")


def test_each_attempt_has_a_row(bench: Make) -> None:
    """Also those of a Retry further in."""
    one = bench(["$1/day"], Retry())
    one.server.next(status=503)
    one.server.next(fault="close")
    one.ask()
    rows = sorted(one.rows(), key=lambda row: row.number)
    assert [(row.number, row.status, row.estimated) for row in rows] == [(1, 503, ""), (2, 0, "reserved"), (3, 200, "")]
    assert len({row.call for row in rows}) == 1


def test_a_call_that_might_exceed_a_limit_is_not_sent(bench: Make) -> None:
    """And the error says all about it."""
    one = bench(["$0.0015/day"])
    one.ask()
    with pytest.raises(BudgetExceededError) as refused:
        one.ask(max_completion_tokens=1000)
    error = refused.value
    assert one.server.count() == 1
    assert (error.limit, error.plugin, error.reserved) == ("$0.0015/day", "budget", 0)
    assert error.spent == one.budget.status()[0].spent
    assert error.asked > error.spent
    assert error.resets_at is not None
    assert error.resets_at.timestamp() % 86400 == 0
    assert pickle.loads(pickle.dumps(error)).resets_at == error.resets_at
    (event,) = one.events(BudgetExceeded)
    assert (event.passed, event.asked) == (False, error.asked)
    one.ask(max_completion_tokens=10)  # there is room for a smaller one
    assert one.server.count() == 2


def test_what_is_under_way_counts(bench: Make) -> None:
    """Until it is settled."""
    one = bench(["$0.0015/day"])
    stream = one.ask(stream=True)
    with pytest.raises(BudgetExceededError) as refused:
        one.ask()
    assert refused.value.reserved > refused.value.spent == 0
    stream.close()
    one.ask()


def test_limits_have_scopes(bench: Make) -> None:
    """Each user has an account of their own; all of them together have another."""
    one = bench(["3 calls/day", "2 calls/day per user", "1 calls/day for model=gpt-5"])
    for user, model in (("ann", "gpt-5-mini"), ("ann", "gpt-5"), ("bob", "gpt-5-mini")):
        with llmstack.options(tags={"user": user}):
            one.ask(model=model)
    for user, model, limit in (
        ("ann", "gpt-5-mini", "3 calls/day"),
        ("bob", "gpt-5", "3 calls/day"),
        ("eve", "gpt-5-mini", "3 calls/day"),
    ):
        with llmstack.options(tags={"user": user}), pytest.raises(BudgetExceededError) as refused:
            one.ask(model=model)
        assert refused.value.limit == limit
    spent = {(s.limit, s.scope.get("user")): s.spent for s in one.budget.status(tags={"user": "ann"}, model="gpt-5")}
    expected = {("3 calls/day", None): 3, ("2 calls/day per user", "ann"): 2, ("1 calls/day for model=gpt-5", None): 1}
    assert spent == expected


def test_a_refusal_reserves_nothing_anywhere(bench: Make) -> None:
    """All limits, or none."""
    one = bench(["10 calls/day", "1 calls/day per tenant"])
    for tenant in ("a", "b"):
        with llmstack.options(tenant=tenant):
            one.ask()
    with llmstack.options(tenant="a"), pytest.raises(BudgetExceededError):
        one.ask()
    assert [status.spent for status in one.budget.status(tenant="a")] == [2, 1]


def test_a_new_window_has_room_again(bench: Make) -> None:
    """A calendar's at once, a rolling one's when its oldest slice is out."""
    one = bench(["1 calls/day"])
    one.ask()
    with pytest.raises(BudgetExceededError) as refused:
        one.ask()
    assert refused.value.resets_at is not None
    one.clock.advance(refused.value.resets_at.timestamp() - one.clock.time())
    one.ask()
    rolling = bench(["1 calls/1h"])
    rolling.ask()
    rolling.clock.advance(3599)
    with pytest.raises(BudgetExceededError):
        rolling.ask()
    rolling.clock.advance(62)
    rolling.ask()


def test_a_warning_lets_it_pass(bench: Make) -> None:
    """And counts it."""
    one = bench(["1 calls/day"], on_exceed="warn")
    one.ask()
    one.ask()
    (event,) = one.events(BudgetExceeded)
    assert event.passed
    assert one.budget.status()[0].spent == 2


def test_a_cheaper_model_takes_its_place(bench: Make) -> None:
    """If that fits; a cache must not keep its answer for the model that was asked for."""
    one = bench(["$0.002/day"], on_exceed="degrade", degrade={"gpt-5": "gpt-5-mini"})
    assert one.ask(model="gpt-5").model == "gpt-5-mini"
    row = one.row()
    assert (row.model, row.notes) == ("gpt-5-mini", {"degraded_from": "gpt-5"})
    (event,) = one.events(BudgetDegraded)
    assert (event.asked_model, event.sent_model) == ("gpt-5", "gpt-5-mini")
    with pytest.raises(BudgetExceededError):
        one.ask(model="gpt-5", max_completion_tokens=10_000)


def test_an_alert_is_told_once_for_each_threshold(bench: Make) -> None:
    """In each window."""
    one = bench(["4 calls/day"], alerts=(0.5, 0.75))
    for _ in range(4):
        one.ask()
    assert [(a.threshold, a.spent, a.allowed) for a in one.events(BudgetAlert)] == [(0.5, 2, 4), (0.75, 3, 4)]
    assert "50% of the budget 4 calls/day is spent: 2 calls" in one.events(BudgetAlert)[0].alert


def test_a_price_that_nobody_knows_is_denied_or_guessed(bench: Make) -> None:
    """Only where a limit is in dollars."""
    with pytest.raises(UnknownPriceError, match="unknown_price='estimate'"):
        bench().ask(model="house-model")
    guessing = bench(unknown_price="estimate")
    guessing.ask(model="house-model")
    assert guessing.row().estimated == "price"
    assert guessing.row().cost
    counting = bench(["1000 tokens/day"])
    counting.ask(model="house-model")
    assert counting.row().cost is None


def test_without_limits_it_keeps_the_books(bench: Make) -> None:
    """And reserves nothing."""
    one = bench([])
    one.ask()
    one.server.next(fault="close")
    with pytest.raises(openai.APIConnectionError):
        one.ask()
    costs = {row.estimated: row.cost or 0 for row in one.rows()}
    assert 0 < costs[""] < costs["reserved"]


def test_what_a_layer_asks_on_the_way_is_in_the_books_too(server: LocalServer) -> None:
    """Moderation's own request, which is free."""
    budget = Budget(["$1/day"])
    stack = llmstack.Stack([Moderation(), budget, Retry()])
    with llmstack.OpenAI(base_url=server.base_url, api_key="k", stack=stack) as client:
        client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "hi"}], max_tokens=5)
    rows = drive(budget.ledger.history())
    assert {(row.endpoint, row.cost == 0, row.estimated) for row in rows} == {
        ("moderations", True, "usage"),
        ("chat.completions", False, ""),
    }
    assert len({row.call for row in rows}) == 1
    budget.close()


def test_an_answer_from_a_cache_costs_nothing_and_says_what_it_saved(server: LocalServer) -> None:
    """It has a row of its own."""
    budget = Budget(["$1/day"], prices=PRICES)
    stack = llmstack.Stack([Cache(), budget])
    with llmstack.OpenAI(base_url=server.base_url, api_key="k", stack=stack) as client:
        for _ in range(2):
            client.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": "hi"}], max_tokens=5, temperature=0
            )
    stack.close()
    asked, answered = sorted(drive(budget.ledger.history()), key=lambda row: -row.number)
    assert (answered.outcome, answered.cost, answered.saved) == ("cached", 0, asked.cost)
    assert answered.saved > 0
    assert server.count("/chat/completions") == 1


def test_what_is_not_billed_passes(bench: Make) -> None:
    """No row, no limit."""
    one = bench(["0 calls/day"])
    one.client.models.list()
    assert one.rows() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": "$5/day"}, "must be a list"),
        ({"limits": ["$5"]}, "is no limit; write"),
        ({"limits": ["$5/fortnight"]}, "is no window"),
        ({"limits": ["1.5 calls/day"]}, "cannot be"),
        ({"limits": ["$5/day"], "zone": "Mars/Base"}, "no time zone"),
        ({"on_exceed": "explode"}, "on_exceed must be one of"),
        ({"on_exceed": "degrade"}, "go together"),
        ({"degrade": {"a": "b"}}, "go together"),
        ({"alerts": [80]}, "shares of a limit"),
        ({"lease": 0}, "lease must be"),
        ({"max_output_tokens": 0}, "max_output_tokens must be"),
        ({"prices": {"m": {"inptu": 1}}}, "a price has no 'inptu'"),
        ({"prices": {"m": {"input": "nan"}}}, "no number of dollars"),
    ],
)
def test_bad_options_are_told(options: dict[str, Any], message: str) -> None:
    """Before anything is built."""
    with pytest.raises(ValueError, match=message):
        Budget(**options)


def test_a_store_that_nobody_offers_is_told_when_the_stack_is_built() -> None:
    """Not with the first call."""
    with pytest.raises(OptionError, match="no plugin offers stores at nowhere://"):
        llmstack.Stack([Budget(store="nowhere://x")])


def test_a_limit_may_be_an_object(bench: Make) -> None:
    """With the same meaning."""
    limit = Limit(1, "calls", Window("hour"), per=("team",))
    assert str(limit) == "1 calls/hour per team"
    one = bench([limit])
    one.ask()
    with pytest.raises(BudgetExceededError):
        one.ask()
    with pytest.raises(TypeError, match="is a float"):
        Limit(0.5)  # type: ignore[arg-type]
