"""Real servers that are killed, some in the midst of calls, and come back: the program sees answers only."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest

from llmstack.events import CallFinished
from llmstack.middleware import Route
from llmstack.middleware.route import HopAnswered
from tests.core.side import Side
from tests.middleware.route_program import Program
from tests.middleware.route_rig import servers, to


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
