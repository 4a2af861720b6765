"""Real servers: one dead, one rate-limited, one well. The program sees answers only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

import llmstack
from llmstack.events import CallFinished
from llmstack.middleware import Route
from llmstack.middleware.route import HopFailed
from llmstack.testing import LocalServer
from tests.core.side import Side
from tests.middleware.route_program import Program
from tests.middleware.route_rig import dead_url, servers, to

TARGETS = ["dead/*", "limited/*", "well/*"]


@pytest.fixture(scope="module")
def running() -> Iterator[list[LocalServer]]:
    """Servers for all tests here."""
    with servers(2) as found:
        yield found


@pytest.fixture
def limited(running: list[LocalServer]) -> LocalServer:
    """One that refuses all."""
    running[0].reset()
    running[0].next(429, times=None, headers={"retry-after": "20"})
    return running[0]


@pytest.fixture
def well(running: list[LocalServer]) -> LocalServer:
    """One that answers."""
    running[1].reset()
    return running[1]


def three(limited: LocalServer, well: LocalServer, **options: Any) -> Route:
    """A route over one that is dead, one that is limited, one that is well."""
    transports = {"dead": to(dead_url()), "limited": to(limited.base_url), "well": to(well.base_url)}
    return Route(TARGETS, transports=transports, retries=0, **options)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_thousand_calls_without_an_error(
    side: Side,
    limited: LocalServer,
    well: LocalServer,
    stream: bool,  # noqa: FBT001
) -> None:
    """The two that do not answer are tried again now and then, by a call that another one answers."""
    program = Program(side, three(limited, well, strategy="round_robin", cooldown=30))

    async def calls() -> None:
        for _ in range(1000):
            assert await program.ask(stream=stream) == "You said: Say hello"
            program.clock.advance(0.5)
        await program.close()

    side.run(calls)
    finished = program.recorder.of(CallFinished)
    assert [event.outcome for event in finished] == ["ok"] * 1000
    assert program.answered == {"well/*": 1000}
    assert well.count() == 1000
    failed = Counter((event.target, event.kind) for event in program.recorder.of(HopFailed))
    assert failed.keys() == {("dead/*", "connection"), ("limited/*", "rate_limit")}
    # 500 s: a probe after each 30 s of the one, after each 20 s of the other, and three to find out that it is dead.
    assert 15 <= failed["dead/*", "connection"] <= 20
    assert 21 <= failed["limited/*", "rate_limit"] <= 26
    status = program.route.status()
    assert {found.in_flight for found in status.values()} == {0}


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_thousand_calls_are_shared_as_configured(
    side: Side,
    limited: LocalServer,
    well: LocalServer,
    stream: bool,  # noqa: FBT001
) -> None:
    """One dead, one that is limited after ten answers at a time and has twice the weight, one well."""
    limited.reset()
    for _ in range(100):
        limited.next(times=10)
        limited.next(429, headers={"retry-after": "5"})
    transports = {"dead": to(dead_url()), "limited": to(limited.base_url), "well": to(well.base_url)}
    targets = ["dead/*", llmstack.middleware.Target(transport="limited", weight=2), "well/*"]
    route = Route(targets, transports=transports, strategy="round_robin", retries=0)
    program = Program(side, route)
    shared: Counter[str] = Counter()

    async def calls() -> None:
        for _ in range(1000):
            states = {name: status.state for name, status in route.status().items()}
            before = program.answered
            assert await program.ask(stream=stream) == "You said: Say hello"
            if states == {"dead/*": "cooling", "limited/*": "well", "well/*": "well"}:
                shared.update(program.answered - before)
            program.clock.advance(0.5)
        await program.close()

    side.run(calls)
    assert {event.outcome for event in program.recorder.of(CallFinished)} == {"ok"}
    assert program.answered.total() == 1000
    refused = [event for event in program.recorder.of(HopFailed) if event.target == "limited/*"]
    assert {event.kind for event in refused} == {"rate_limit"}
    assert {event.cooldown for event in refused} == {5}
    assert program.answered["limited/*"] // 10 == len(refused) > 20
    # While both are well the limited one has two thirds, but for the call at which it says that it is limited.
    assert abs(shared["limited/*"] + len(refused) - 2 * (shared["well/*"] - len(refused))) <= len(refused)
    assert {found.in_flight for found in route.status().values()} == {0}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_many_tasks_at_once(
    limited: LocalServer,
    well: LocalServer,
    stream: bool,  # noqa: FBT001
    anyio_backend_name: str,
) -> None:
    """Also when they meet the dead one together."""
    side = Side(anyio_backend_name)
    program = Program(side, three(limited, well, strategy="least_busy"))
    answers: list[str] = []

    async def worker() -> None:
        answers.extend([await program.ask(stream=stream) for _ in range(10)])

    async def calls() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(worker)
        await program.close()

    side.run(calls)
    assert answers == ["You said: Say hello"] * 200
    assert {found.in_flight for found in program.route.status().values()} == {0}


def test_one_route_serves_threads_and_event_loops_at_once(limited: LocalServer, well: LocalServer) -> None:
    """Of both kinds; nothing of it belongs to one of them."""
    route = three(limited, well, strategy="round_robin")
    programs = [Program(Side(name), route) for name in ("sync", "asyncio", "trio", "sync")]

    def run(program: Program) -> list[str]:
        async def calls() -> list[str]:
            answers = [await program.ask(stream=n % 2 == 0) for n in range(20)]
            await program.side.do(program.client.close())
            return answers

        found: list[str] = program.side.run(calls)
        return found

    with ThreadPoolExecutor(len(programs)) as pool:
        answers = list(pool.map(run, programs))
    assert answers == [["You said: Say hello"] * 20] * len(programs)
    assert {found.in_flight for found in route.status().values()} == {0}
    route.close()


def test_calls_are_distributed_as_configured(side: Side) -> None:
    """By weight, over servers that are all well."""
    with servers(3) as found:
        transports = {name: to(server.base_url) for name, server in zip("abc", found, strict=True)}
        weights = {"a": 3, "b": 2, "c": 1}
        targets = [llmstack.middleware.Target(transport=name, weight=weight) for name, weight in weights.items()]
        program = Program(side, Route(targets, transports=transports, strategy="round_robin"))

        async def calls() -> None:
            for _ in range(60):
                await program.ask()
            await program.close()

        side.run(calls)
        assert [server.count() for server in found] == [30, 20, 10]
