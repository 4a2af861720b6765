"""Who is asked first, who is left alone, and who is back."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import openai
import pytest

import llmstack
from llmstack import Call, Flow, Next, OpenAI, Reply, Stack
from llmstack.effects import run
from llmstack.middleware import Route, Target
from llmstack.middleware.route import HopAnswered
from llmstack.testing import FakeClock, ScriptedTransport, Status
from llmstack.testing.scripted import text_body
from tests.core.side import KEY, MESSAGES, PREAMBLE, Side, chunk, spoken
from tests.middleware.route_rig import Bench, bench, scripted

ALL = ["a/*", "b/*", "c/*"]


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


# Cooldown and recovery ----------------------------------------------------------------------------------------------


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


# Shared state -------------------------------------------------------------------------------------------------------


def test_many_threads_share_a_route() -> None:
    """Turns are exact, and nothing is left in flight."""
    transports = {name: scripted(name, default="ok") for name in "abc"}
    route = Route(ALL, transports=transports, strategy="round_robin")
    client = OpenAI(api_key=KEY, base_url="http://scripted.invalid/v1", stack=Stack([route], clock=FakeClock()))
    messages: Any = MESSAGES

    def ask(_: int) -> object:
        return client.chat.completions.create(model="m", messages=messages)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(600)))
    assert [len(transport.calls) for transport in transports.values()] == [200, 200, 200]
    assert {status.in_flight for status in route.status().values()} == {0}
    client.close()


def _in_child(route: Route, client: OpenAI, queue: Any) -> None:
    messages: Any = MESSAGES
    before = {status.in_flight for status in route.status().values()}
    client.chat.completions.create(model="m", messages=messages)
    gc.collect()
    queue.put((before, {status.in_flight for status in route.status().values()}))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_nothing_in_flight() -> None:
    """What was under way at a fork is the parent's, in both processes."""
    transports = {name: ScriptedTransport([spoken("x")], default="ok") for name in "ab"}
    route = Route(["a/*", "b/*"], transports=transports, strategy="least_busy")
    client = OpenAI(api_key=KEY, base_url="http://scripted.invalid/v1", stack=Stack([route]))
    messages: Any = MESSAGES
    context: Any = multiprocessing.get_context("fork")
    queue = context.Queue()
    with client.chat.completions.create(model="m", messages=messages, stream=True):
        child = context.Process(target=_in_child, args=(route, client, queue))
        child.start()
        assert queue.get(timeout=30) == ({0}, {0})
        child.join(30)
        assert child.exitcode == 0
        assert sorted(status.in_flight for status in route.status().values()) == [0, 1]
    assert {status.in_flight for status in route.status().values()} == {0}
    queue.close()
    queue.join_thread()
    client.close()


def test_a_refusal_further_in_leaves_nothing_in_flight(side: Side) -> None:
    """Nor does an error of another layer's making."""

    def breaks(call: Call, next: Next) -> Flow[Reply]:
        yield from run(lambda: None)
        raise LookupError

    b = bench(side, ALL, inner=[breaks])

    async def program() -> None:
        with pytest.raises(llmstack.StackError):
            await b.ask()

    side.run(program)
    assert {status.in_flight for status in b.route.status().values()} == {0}
    assert b.failed[0].kind is None
