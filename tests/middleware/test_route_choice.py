"""Which targets a call has: by its size, its tags, a function; and where it must stay."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import llmstack
from llmstack import Call
from llmstack.effects import run
from llmstack.errors import OptionError
from llmstack.middleware import Budget, Route, Rule, Target
from llmstack.middleware.route import prompt_tokens
from llmstack.testing import Status
from tests.core.side import Side
from tests.middleware.route_rig import bench

LONG = [{"role": "user", "content": "word " * 500}]
SHORT = [{"role": "user", "content": "word"}]
TOO_LONG = Status(400, "This model's maximum context length is 8 tokens", code="context_length_exceeded")


def test_by_the_size_of_the_prompt(side: Side) -> None:
    """The first rule that fits; if none does, the route's own targets."""
    rules = [Rule(to="a/small", max_tokens=100), Rule(to=["b/large"], min_tokens=400)]
    b = bench(side, ["c/*"], choose=rules)
    assert b.go(messages=SHORT) == ["from a"]
    assert b.go(messages=LONG) == ["from b"]
    assert b.go(messages=[{"role": "user", "content": "word " * 200}]) == ["from c"]


def test_by_tags_tenant_model_and_mode(side: Side) -> None:
    """All conditions of a rule must hold."""
    rules = [
        Rule(to="a/*", tags={"tier": "free", "team": "search"}),
        Rule(to="b/*", tenant="acme", stream=True),
        Rule(to="c/*", model="gpt-*", stream=False),
    ]
    b = bench(side, ["x"], choose=rules, script=["plain", "plain"])

    async def program() -> list[str]:
        found = []
        with llmstack.options(tags={"tier": "free", "team": "search"}):
            found.append(await b.ask())
        with llmstack.options(tags={"tier": "free"}):
            found.append(await b.ask())
        with llmstack.options(tenant="acme"):
            found.append(await b.ask(stream=True))
            found.append(await b.ask())
        found.append(await b.ask(model="gpt-5"))
        return found

    assert side.run(program) == ["from a", "plain", "from b", "plain", "from c"]


def test_by_a_function(side: Side) -> None:
    """It gives a target, several, or None for those of the route."""
    given: list[Any] = ["a/x", Target("y", "b"), ["c/z", "a/z"], None]
    b = bench(side, ["b/*"], {"c": [Status(500)]}, choose=lambda call: given.pop(0))
    assert b.go(4) == ["from a", "from b", "from a", "from b"]
    assert b.models("a") == ["x", "z"]
    assert b.models("b") == ["y", "m"]


def test_by_what_a_budget_has_left(side: Side) -> None:
    """A function may be a generator: what it asks of a store does not block."""
    budget = Budget(["4 calls/day"])

    def choose(call: Call) -> Any:
        statuses = yield from run(budget.status, budget.astatus)
        return "b/cheap" if any(status.spent * 2 >= status.allowed for status in statuses) else None

    b = bench(side, ["a/*"], outer=[budget], choose=choose)
    assert b.go(4) == ["from a", "from a", "from b", "from b"]


def test_a_route_may_have_nothing_but_a_function(side: Side) -> None:
    """What it does not choose for passes as it is."""
    b = bench(side, (), choose=lambda call: "a/x" if call.model == "smart" else None)
    assert b.go(model="smart") == ["from a"]
    assert b.go() == ["from the stack's"]


def test_the_size_of_any_prompt_is_known() -> None:
    """Of chats, of Responses, of legacy completions; tools count."""

    def size(endpoint: str, **params: Any) -> int:
        return prompt_tokens(Call(path="/", endpoint=endpoint, params={"model": "m", **params}))

    text = "word " * 100
    assert size("chat.completions", messages=[{"role": "user", "content": text}]) > 90
    assert size("responses", input=text, instructions=text) > 180
    assert size("completions", prompt=text) > 90
    assert size("chat.completions", messages=SHORT, tools=[{"type": "function", "function": {"name": text}}]) > 90
    assert size("chat.completions") == 0


# A prompt that does not fit -------------------------------------------------------------------------------------------


def test_a_prompt_that_does_not_fit_goes_to_the_larger_model(side: Side) -> None:
    """At the same transport; the same model elsewhere would refuse it, too."""
    larger = {"mini": "maxi"}
    b = bench(side, ["a/mini", "b/mini"], {"a": [TOO_LONG, "it fits"]}, larger=larger)
    assert b.go() == ["it fits"]
    assert b.models("a") == ["mini", "maxi"]
    assert b.sent("b") == 0
    assert b.notes == [("a/mini", "context_window"), ("a/maxi", "ok")]


def test_the_larger_model_may_be_elsewhere_and_have_a_larger_one(side: Side) -> None:
    """A chain; none is asked twice."""
    larger = {"mini": "b/midi", "midi": Target("maxi", "c"), "maxi": "a/mini"}
    b = bench(side, ["a/mini"], {"a": [TOO_LONG], "b": [TOO_LONG], "c": [TOO_LONG]}, larger=larger)

    async def program() -> None:
        with pytest.raises(openai.BadRequestError):
            await b.ask()

    side.run(program)
    assert [hop for hop, _ in b.notes] == ["a/mini", "b/midi", "c/maxi"]


def test_without_a_larger_one_other_models_are_asked(side: Side) -> None:
    """Not the same model again. Servers that give no code say it in words."""
    spoken = Status(400, "The prompt is too long: 9 tokens > 8 maximum")
    b = bench(side, ["a/mini", "b/mini", "c/other"], {"a": [spoken]})
    assert b.go() == ["from c"]
    assert b.sent("b") == 0


# State that lies somewhere -------------------------------------------------------------------------------------------


def test_a_conversation_stays_where_it_began(side: Side) -> None:
    """The provider knows only the responses that it has given itself."""
    b = bench(side, ["a/*", "b/*"], {"a": [Status(503)]}, strategy="round_robin")

    async def respond(**more: Any) -> Any:
        return await side.do(b.rig.respond(**more))

    async def program() -> None:
        first = await respond()
        assert first.output_text == "from b"
        for _ in range(4):
            assert (await respond(previous_response_id=first.id)).output_text == "from b"
        assert {(await respond()).output_text for _ in range(4)} == {"from a", "from b"}
        for _ in range(3):
            await respond(conversation="conv_1")
        assert b.answered[-1] == b.answered[-2] == b.answered[-3]

    side.run(program)


@pytest.mark.parametrize("first", ["quick", "other"])
def test_a_conversation_goes_on_where_it_began_with_other_targets(side: Side, first: str) -> None:
    """Also from a model that has one target only, or none."""
    targets = {"quick": ["c/small"], "smart": ["a/large", "b/large", "c/large", "large"]}
    b = bench(side, targets, script=["from home", "from home"])

    async def program() -> list[str]:
        ask = b.rig.client.responses.create
        begun = await side.do(ask(model=first, input="hi"))
        went_on = await side.do(ask(model="smart", input="more", previous_response_id=begun.id))
        return [begun.output_text, went_on.output_text]

    home = "from c" if first == "quick" else "from home"
    assert side.run(program) == [home, home]


def test_what_goes_on_from_something_unknown_goes_to_the_first_transport(side: Side) -> None:
    """And to no other: it would be refused there."""
    targets = [Target(transport="a", priority=1), Target(transport="b"), Target("other", "b")]
    b = bench(side, targets, {"b": [Status(500)] * 2})

    async def program() -> None:
        with pytest.raises(openai.InternalServerError):
            await side.do(b.rig.respond(previous_response_id="resp_of_yesterday"))

    side.run(program)
    assert (b.sent("a"), b.sent("b")) == (0, 2)


def test_the_larger_model_elsewhere_is_no_place_to_go_on(side: Side) -> None:
    """It would answer that it knows nothing of the earlier response."""
    b = bench(side, ["a/mini"], {"a": [TOO_LONG] * 2}, larger={"mini": "b/maxi"})

    async def program() -> None:
        with pytest.raises(openai.BadRequestError, match="maximum context length"):
            await side.do(b.rig.respond(previous_response_id="resp_1"))
        assert (await side.do(b.rig.respond())).output_text == "from b"

    side.run(program)
    assert (b.models("a"), b.models("b")) == (["mini", "mini"], ["maxi"])


def test_a_function_that_names_no_transport_is_told_so(side: Side) -> None:
    """By an error that says which option it is."""
    b = bench(side, ["a/*"], choose=lambda call: Target("x", "zebra"))

    async def program() -> None:
        with pytest.raises(OptionError, match="choose: there is no transport 'zebra'; there are: a, b, c") as caught:
            await b.ask()
        assert caught.value.plugin == "route"

    side.run(program)
    assert b.rig.sent == []


def test_a_route_of_its_own_within_a_route(side: Side) -> None:
    """One chooses the model, the other one the place."""
    outer = Route(["large", "small"])
    b = bench(
        side, ["a/*", "b/*"], {"a": [Status(404)], "b": [Status(404)]}, outer=[outer], endpoints=["chat.completions"]
    )
    assert b.go() == ["from a"]
    assert (b.models("a"), b.models("b")) == (["large", "small"], ["large"])
