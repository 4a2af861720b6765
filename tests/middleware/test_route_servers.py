"""Real servers: one dead, one rate-limited, one well. The program sees answers only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

import llmstack
from llmstack import Stack
from llmstack.events import CallFinished
from llmstack.middleware import Route
from llmstack.middleware.route import HopAnswered, HopFailed
from llmstack.testing import FakeClock, LocalServer, Recorder
from tests.core.side import KEY, MESSAGES, Side, texts
from tests.middleware.route_rig import dead_url, servers, to

ASK: dict[str, Any] = {"model": "gpt-5-mini", "messages": MESSAGES}
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


class Program:
    """A program whose client goes by a route over real servers."""

    def __init__(self, side: Side, route: Route) -> None:
        self.side, self.route = side, route
        self.clock, self.recorder = FakeClock(), Recorder()
        self.stack = Stack([route, self.recorder], clock=self.clock)
        kind: Any = llmstack.AsyncOpenAI if side.asynchronous else llmstack.OpenAI
        # The address that it was made with is nobody's.
        self.client = kind(api_key=KEY, base_url="http://nobody.invalid/v1", stack=self.stack)

    async def ask(self, *, stream: bool = False) -> str:
        """One chat; its text."""
        got = await self.side.do(self.client.chat.completions.create(**ASK, stream=stream))
        if stream:
            return texts(await self.side.read(got))
        text: str = got.choices[0].message.content
        return text

    async def close(self) -> None:
        """Close client and stack."""
        await self.side.do(self.client.close())
        await self.stack.aclose() if self.side.asynchronous else self.stack.close()

    @property
    def answered(self) -> Counter[str]:
        """How often each target has answered."""
        return Counter(event.target for event in self.recorder.of(HopAnswered))


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


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_killed_server_rejoins(side: Side, stream: bool) -> None:  # noqa: FBT001
    """Between its end and its return nobody sees an error; then it gets its share again."""
    with servers(2) as (mortal, steady):
        transports = {"mortal": to(mortal.base_url), "steady": to(steady.base_url)}
        route = Route(
            ["mortal/*", "steady/*"], transports=transports, strategy="round_robin", retries=0, failures=1, cooldown=30
        )
        program = Program(side, route)

        async def calls() -> None:
            async def ten() -> Counter[str]:
                before = program.answered
                for _ in range(10):
                    await program.ask(stream=stream)
                return program.answered - before

            assert await ten() == {"mortal/*": 5, "steady/*": 5}
            mortal.stop()
            assert await ten() == {"steady/*": 10}
            assert route.status()["mortal/*"].state == "cooling"
            program.clock.advance(31)
            assert await ten() == {"steady/*": 10}  # one of them was a probe in vain
            mortal.start()
            assert await ten() == {"steady/*": 10}
            program.clock.advance(31)
            assert await ten() == {"mortal/*": 5, "steady/*": 5}
            assert [event.recovered for event in program.recorder.of(HopAnswered)].count(True) == 1
            await program.close()

        side.run(calls)
        assert {event.outcome for event in program.recorder.of(CallFinished)} == {"ok"}


def test_a_server_that_dies_in_the_midst_of_a_stream(side: Side) -> None:
    """Before its first content the next one answers."""
    with servers(2) as (mortal, steady):
        route = Route(
            ["mortal/*", "steady/*"], transports={"mortal": to(mortal.base_url), "steady": to(steady.base_url)}
        )
        program = Program(side, route)
        mortal.next(fault="cut", after=1)

        async def calls() -> None:
            assert await program.ask(stream=True) == "You said: Say hello"
            await program.close()

        side.run(calls)
        assert program.answered == {"steady/*": 1}


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_server_that_is_killed_with_calls_under_way(loop: str, stream: bool) -> None:  # noqa: FBT001
    """None of twenty callers sees an error, neither then nor when it is back."""
    with servers(2) as (mortal, steady):
        transports = {"mortal": to(mortal.base_url), "steady": to(steady.base_url)}
        route = Route(["mortal/*", "steady/*"], transports=transports, strategy="least_busy", retries=0, cooldown=30)
        program = Program(Side(loop), route)
        held = mortal.gate(times=None)
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await program.ask(stream=stream))

        async def twenty() -> None:
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(ask)
                await anyio.to_thread.run_sync(held.wait_reached)
                await anyio.to_thread.run_sync(mortal.stop)

        async def calls() -> None:
            await twenty()
            assert program.answered == {"steady/*": 20}
            assert route.status()["mortal/*"].state == "cooling"
            mortal.reset()
            mortal.start()
            program.clock.advance(31)
            for _ in range(20):
                await ask()
            assert program.answered["mortal/*"] >= 5
            await program.close()

        program.side.run(calls)
        assert answers == ["You said: Say hello"] * 40
        assert {found.in_flight for found in route.status().values()} == {0}
