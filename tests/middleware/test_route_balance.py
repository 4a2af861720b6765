"""Who of a route's targets is asked first: by strategy, priority and session."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

import llmstack
from llmstack import Call, Reply
from llmstack.middleware import Target
from llmstack.testing import Status
from llmstack.testing.scripted import text_body
from tests.core.side import Side, spoken
from tests.middleware.route_rig import ALL, Bench, bench


def limits(share: float, reset: str = "60s", **more: str) -> Any:
    """An answer that tells what is left of a limit of 100 requests."""
    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": str(round(share * 100)),
        "x-ratelimit-reset-requests": reset,
        **more,
    }
    return lambda call: Reply(text_body(call, "limited"), headers=headers)


def slow(b: Bench, seconds: float) -> Any:
    """An answer that takes some seconds of the stack's clock."""

    def answer(call: Call) -> str:
        b.rig.clock.advance(seconds)
        return f"after {seconds}"

    return answer


# Strategies ---------------------------------------------------------------------------------------------------------


def test_fallback_asks_the_first_as_long_as_it_answers(side: Side) -> None:
    """As written."""
    b = bench(side, ALL)
    b.go(5)
    assert b.answered == ["a/*"] * 5


def test_round_robin_takes_turns(side: Side) -> None:
    """Each as often as the others."""
    b = bench(side, ALL, strategy="round_robin")
    b.go(9)
    assert b.answered == ["a/*", "b/*", "c/*"] * 3


def test_round_robin_goes_by_weight_and_mixes_evenly(side: Side) -> None:
    """Five to one to one, never five in a row."""
    targets = [Target(transport="a", weight=5), Target(transport="b"), Target(transport="c")]
    b = bench(side, targets, strategy="round_robin")
    b.go(700)
    assert Counter(b.answered) == {"a/*": 500, "b/*": 100, "c/*": 100}
    assert b.answered[:7] == ["a/*", "a/*", "b/*", "a/*", "c/*", "a/*", "a/*"]


def test_weighted_draws_by_weight(side: Side) -> None:
    """At random, in the long run as configured; a target of no weight gets what others fail at only."""
    targets = [Target(transport="a", weight=6), Target(transport="b", weight=3), Target(transport="c", weight=0)]
    b = bench(side, targets, strategy="weighted", random=Random(42))
    b.go(1800)
    found = Counter(b.answered)
    assert found["c/*"] == 0
    # Three standard deviations of a binomial distribution are 60.
    assert abs(found["a/*"] - 1200) < 60
    b.transports["a"]._default = b.transports["b"]._default = Status(500)  # noqa: SLF001
    b.go()
    assert b.answered[-1] == "c/*"


def test_weighted_is_the_same_for_the_same_randomness(side: Side) -> None:
    """It is injected."""
    orders = []
    for _ in range(2):
        b = bench(side, ALL, strategy="weighted", random=Random(5))
        b.go(20)
        orders.append(b.answered)
    assert orders[0] == orders[1]
    assert len(set(orders[0])) == 3


def test_least_busy_is_asked_first(side: Side) -> None:
    """Calls under way count; where there are none, the targets take turns."""
    b = bench(side, ALL, {name: [spoken("x")] * 9 for name in "abc"}, strategy="least_busy")

    async def program() -> list[int]:
        streams = [await side.do(b.rig.create(stream=True)) for _ in range(7)]
        asked = {name: b.sent(name) for name in "abc"}
        assert {name: status.in_flight for name, status in b.route.status().items()} == {
            f"{name}/*": count for name, count in asked.items()
        }
        for stream in streams:
            await side.close(stream)
        return sorted(asked.values())

    assert side.run(program) == [2, 2, 3]
    assert {status.in_flight for status in b.route.status().values()} == {0}


def test_least_busy_goes_by_weight(side: Side) -> None:
    """A target of twice the weight has twice the calls under way."""
    targets = [Target(transport="a", weight=2), Target(transport="b")]
    b = bench(side, targets, {name: [spoken("x")] * 9 for name in "ab"}, strategy="least_busy")

    async def program() -> None:
        streams = [await side.do(b.rig.create(stream=True)) for _ in range(6)]
        for stream in streams:
            await side.close(stream)

    side.run(program)
    assert (b.sent("a"), b.sent("b")) == (4, 2)


def test_the_quickest_lately_is_asked_first(side: Side) -> None:
    """After each has been asked once; and one that was slow is asked again some time."""
    b = bench(side, ALL, strategy="latency")
    b.transports["a"]._default = slow(b, 4.0)  # noqa: SLF001
    b.transports["b"]._default = slow(b, 1.0)  # noqa: SLF001
    b.transports["c"]._default = slow(b, 8.0)  # noqa: SLF001
    b.go(3)
    assert sorted(b.answered) == ["a/*", "b/*", "c/*"]
    b.go(10)
    assert b.answered[3:] == ["b/*"] * 10
    assert b.route.status()["b/*"].latency == 1.0
    b.go(200)
    assert set(b.answered[13:]) == {"a/*", "b/*", "c/*"}
    assert Counter(b.answered[13:]).most_common(1)[0][0] == "b/*"


def test_the_latency_of_a_stream_is_that_of_its_first_content(side: Side) -> None:
    """However slowly the program reads."""
    b = bench(side, ["a/*"], {"a": [spoken("one", "two")]})

    async def program() -> None:
        stream = await side.do(b.rig.create(stream=True))
        async for _ in side.each(stream):
            b.rig.clock.advance(100)

    side.run(program)
    assert b.route.status()["a/*"].latency == 0.0
    assert b.rig.finished.duration >= 100


def test_what_is_left_of_rate_limits_decides(side: Side) -> None:
    """By the share; what fills up again counts."""
    scripts = {"a": [limits(0.2)] * 9, "b": [limits(0.6, reset="1m0s")] * 9, "c": [limits(0.4)] * 9}
    b = bench(side, ALL, scripts, strategy="remaining")
    b.go(3)
    assert sorted(b.answered) == ["a/*", "b/*", "c/*"]
    b.go(2)
    assert b.answered[3:] == ["b/*", "b/*"]
    assert b.route.status()["a/*"].remaining == pytest.approx(0.2)
    b.rig.clock.advance(30)
    assert b.route.status()["a/*"].remaining == pytest.approx(0.6)
    b.rig.clock.advance(30)
    assert b.route.status()["a/*"].remaining == 1.0


def test_the_scarcest_limit_counts(side: Side) -> None:
    """Many requests are left, but no tokens."""
    tokens = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "10"}
    b = bench(side, ["a/*", "b/*"], {"a": [limits(0.9, **tokens)], "b": [limits(0.5)]}, strategy="remaining")
    b.go(3)
    assert b.answered == ["a/*", "b/*", "b/*"]


# Priority, affinity -------------------------------------------------------------------------------------------------


def test_priority_goes_before_strategy(side: Side) -> None:
    """The second group is asked when all of the first cannot answer."""
    targets = [Target(transport="c", priority=1), Target(transport="a"), Target(transport="b")]
    b = bench(side, targets, {"a": [Status(500)] * 9, "b": [*["ok"] * 3, *[Status(500)] * 9]}, strategy="round_robin")
    b.go(3)
    assert set(b.answered) == {"b/*"}
    b.go(1)
    assert b.answered[-1] == "c/*"


def test_a_session_keeps_to_its_target(side: Side) -> None:
    """By a tag; other sessions go elsewhere, and while its own is ill it goes to another and comes back."""
    b = bench(side, ALL, affinity="user", cooldown=30, failures=1)

    async def ask(user: str) -> str:
        with llmstack.options(tags={"user": user}):
            answer: str = await b.ask()
        return answer

    async def program() -> None:
        homes = {f"user{i}": await ask(f"user{i}") for i in range(60)}
        assert set(homes.values()) == {"from a", "from b", "from c"}
        for user, home in homes.items():
            assert await ask(user) == home
        ill = b.transports["a"]
        ill._default = Status(500)  # noqa: SLF001
        for user, home in homes.items():
            found = await ask(user)
            assert found == home if home != "from a" else found in ("from b", "from c")
        ill._default = "from a"  # noqa: SLF001
        b.rig.clock.advance(31)
        for user, home in homes.items():
            assert await ask(user) == home

    side.run(program)


def test_a_tenant_may_be_a_session(side: Side) -> None:
    """Without the tag, or the tenant, the strategy decides."""
    b = bench(side, ALL, affinity="tenant", strategy="round_robin")

    async def program() -> None:
        with llmstack.options(tenant="acme"):
            assert len({await b.ask() for _ in range(6)}) == 1
        assert len({await b.ask() for _ in range(6)}) == 3

    side.run(program)


def test_sessions_are_spread_by_weight_and_only_those_of_a_lost_target_move() -> None:
    """The same in every process: nothing but names decides."""
    from llmstack.middleware._route.health import Health
    from llmstack.middleware._route.order import by_affinity

    healths = [Health(Target("m", name, weight=weight)) for name, weight in (("a", 1), ("b", 1), ("c", 2))]
    users = [f"user{i}" for i in range(4000)]
    homes = {user: by_affinity(user, healths)[0] for user in users}
    found = Counter(health.target.transport for health in homes.values())
    assert abs(found["c"] - 2000) < 120  # nearly four standard deviations
    rest = healths[1:]
    assert all(by_affinity(user, rest)[0] is homes[user] for user in users if homes[user] is not healths[0])
