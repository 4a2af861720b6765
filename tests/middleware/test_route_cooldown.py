"""Who of a route's targets is left alone, for how long, and who is back."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack.middleware.route import HopAnswered
from llmstack.testing import Status
from tests.core.side import PREAMBLE, Side, chunk, spoken
from tests.middleware.route_rig import bench


def test_a_target_that_fails_thrice_in_a_row_is_left_alone(side: Side) -> None:
    """And says so once, in an event with a sentence."""
    b = bench(side, ["a/*", "b/*"], {"a": [Status(500)] * 3})
    b.go(5)
    assert b.sent("a") == 3
    assert [failed.cooldown for failed in b.failed] == [0, 0, 30]
    assert b.failed[-1].alert == "the target a/* is left alone for 30 s (server)"
    status = b.route.status()["a/*"]
    assert (status.state, status.failures, status.cooldown, status.reason) == ("cooling", 3, 30, "server")


def test_a_success_between_failures_begins_the_count_anew(side: Side) -> None:
    """In a row, that is."""
    b = bench(side, ["a/*", "b/*"], {"a": [Status(500), Status(500), "ok", Status(500), Status(500), "ok"]})
    b.go(6)
    assert b.sent("a") == 6
    assert b.state("a/*") == "well"


def test_after_the_cooldown_one_call_is_a_probe(side: Side) -> None:
    """Its success brings the target back, and says so."""
    b = bench(side, ["a/*", "b/*"], {"a": [Status(500)]}, failures=1, cooldown=10)
    b.go(2)
    b.rig.clock.advance(10)
    assert b.state("a/*") == "due"
    assert b.go(2) == ["from a", "from a"]
    assert [event.recovered for event in b.rig.recorder.of(HopAnswered)] == [False, False, True, False]
    assert b.state("a/*") == "well"
    assert b.route.status()["a/*"].reason is None


def test_a_probe_that_fails_costs_one_call_its_way(side: Side) -> None:
    """The target is left alone for as long again; the program sees nothing of it."""
    b = bench(side, ["a/*", "b/*"], {"a": [Status(500)] * 2}, failures=1, cooldown=10)
    b.go()
    b.rig.clock.advance(10)
    assert b.go(3) == ["from b"] * 3
    assert b.sent("a") == 2
    assert b.route.status()["a/*"].cooldown == 10


def test_one_probe_at_a_time(side: Side) -> None:
    """Other calls go elsewhere meanwhile; if it takes longer than the cooldown, there is another."""
    scripts = {"a": [Status(500), *[[PREAMBLE, chunk("x"), *spoken("x")]] * 2]}
    b = bench(side, ["a/*", "b/*"], scripts, failures=1, cooldown=10)

    async def program() -> None:
        await b.ask()
        b.rig.clock.advance(10)
        probe = await side.do(b.rig.create(stream=True))
        assert b.sent("a") == 2
        assert b.state("a/*") == "probing"
        assert await b.ask() == "from b"
        b.rig.clock.advance(10)
        assert b.state("a/*") == "due"
        second = await side.do(b.rig.create(stream=True))
        assert b.sent("a") == 3
        # Of an answer that nobody has looked at nothing is known.
        await side.close(probe)
        assert b.state("a/*") == "probing"
        await side.read(second)

    side.run(program)
    assert b.state("a/*") == "well"


def test_a_rate_limited_target_is_left_alone_for_as_long_as_it_says(side: Side) -> None:
    """From the first time; an hour at most."""
    b = bench(side, ["a/*", "b/*"], {"a": [Status(429, headers={"retry-after": "7"})]})
    b.go(2)
    assert b.sent("a") == 1
    assert b.failed[0].cooldown == 7
    b = bench(side, ["a/*", "b/*"], {"a": [Status(429, headers={"retry-after": "90000"})]})
    b.go()
    assert b.failed[0].cooldown == 3600


@pytest.mark.parametrize(("status", "code"), [(429, "insufficient_quota"), (401, None), (404, "model_not_found")])
def test_what_the_next_call_would_meet_as_well_cools_at_once(side: Side, status: int, code: str | None) -> None:
    """A key that is spent, one that is wrong, a model that is not there."""
    b = bench(side, ["a/x", "b/*"], {"a": [Status(status, code=code)]})
    b.go(3)
    assert b.sent("a") == 1
    assert b.state("a/x") == "cooling"


def test_a_model_that_is_not_there_says_nothing_of_others(side: Side) -> None:
    """A target that takes any model is not left alone for one."""
    b = bench(side, ["a/*", "b/*"], {"a": [Status(404, code="model_not_found")]})
    assert b.go() == ["from b"]
    assert b.go() == ["from a"]


@pytest.mark.parametrize("code", ["content_filter", "context_length_exceeded"])
def test_what_is_the_calls_own_leaves_the_target_well(side: Side, code: str) -> None:
    """Others may be answered there."""
    b = bench(side, ["a/x", "b/y"], {"a": [Status(400, code=code)] * 9})
    b.go(4)
    assert b.sent("a") == 4
    assert b.state("a/x") == "well"


def test_when_all_are_left_alone_the_first_that_will_not_be_is_asked(side: Side) -> None:
    """Better than an error at once; an answer brings it back."""
    scripts: Any = {"a": [Status(429, headers={"retry-after": "60"})], "b": [Status(429, headers={"retry-after": "5"})]}
    b = bench(side, ["a/*", "b/*"], scripts)

    async def program() -> None:
        with pytest.raises(openai.RateLimitError):
            await b.ask()
        assert await b.ask() == "from b"
        assert (b.state("a/*"), b.state("b/*")) == ("cooling", "well")

    side.run(program)


def test_those_left_alone_are_the_last_resort(side: Side) -> None:
    """When all others have failed, too."""
    b = bench(side, ["a/*", "b/*"], {"a": [Status(429)], "b": ["ok", Status(500)]})
    assert b.go(2) == ["ok", "from a"]
    assert b.answered == ["b/*", "a/*"]


def test_an_answer_to_what_was_asked_before_the_trouble_says_nothing(side: Side) -> None:
    """Only what was asked since shows that a target is back."""
    b = bench(side, ["a/*", "b/*"], {"a": [spoken("early"), Status(429)]})

    async def program() -> None:
        early = await side.do(b.rig.create(stream=True))
        await b.ask()
        await side.read(early)

    side.run(program)
    assert b.state("a/*") == "cooling"
