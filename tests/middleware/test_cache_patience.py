"""Nobody waits for ever: not for a program that reads slowly, and not for itself."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import llmstack
from tests.core.side import Side
from tests.middleware.cache_crowd import Crowd, said


def test_a_stream_that_is_read_slowly_does_not_hold_up_the_others(side: Side) -> None:
    """After a while one of them asks, and the others wait for that."""

    async def program() -> None:
        async with Crowd(side, held=0, single_flight=0.05, stream_usage=False) as crowd:
            stream = await side.do(crowd.rig.create(temperature=0, stream=True))
            crowd.start(5)
            await crowd.until(answers=5)
            assert len(crowd.rig.sent) == 2
            assert "".join(map(said, await side.read(stream))) == "Hello"
        assert len(crowd.rig.sent) == 2

    side.run(program)


def test_what_is_not_streamed_is_waited_for(side: Side) -> None:
    """It ends by itself: waiting longer is better than asking twice."""

    async def program() -> None:
        async with Crowd(side, single_flight=0.01) as crowd:
            crowd.start()
            await crowd.until(arrived=1)
            crowd.start(5)
            await crowd.until(waiting=5)
            await crowd.pause(0.1)
            assert len(crowd.hold.arrived) == 1
            crowd.hold.release()
            await crowd.until(answers=6)

    side.run(program)


@pytest.mark.parametrize("own", [{"timeout": 0.05}, {"extra_headers": {"x-llmstack-deadline": "0.05"}}])
def test_nobody_waits_longer_than_it_may_take(side: Side, own: Any) -> None:
    """Its own time-out, its own deadline."""

    async def program() -> None:
        async with Crowd(side) as crowd:
            crowd.start()
            await crowd.until(arrived=1)
            crowd.start(**own)
            await crowd.until(arrived=2, answers=1)
            crowd.hold.release()

    side.run(program)


def test_who_holds_a_stream_does_not_wait_for_itself(side: Side) -> None:
    """Two streams that ask the same, read in turn by one task or thread: the first ends when the second goes on."""

    async def program() -> None:
        async with Crowd(side, held=0, single_flight=1000, stream_usage=False) as crowd:
            create = crowd.rig.create
            first = await side.do(create(temperature=0, stream=True))
            second = await side.do(create(temperature=0, stream=True))
            third = await side.do(create(temperature=0))
            assert said(third) == "".join(map(said, await side.read(second)))
            await side.read(first)

    side.run(program)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_sync_call_does_not_wait_for_a_task_of_the_loop_that_it_holds_up(backend: str) -> None:
    """That could never go on."""

    async def program() -> None:
        side = Side(backend)
        async with Crowd(side, held=1) as crowd:
            crowd.start()
            await crowd.until(arrived=1)
            client = llmstack.OpenAI(
                api_key=crowd.rig.client.api_key, base_url=crowd.rig.client.base_url, stack=crowd.rig.stack
            )
            with client:
                answer = client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "Say hello"}], temperature=0
                )
            assert said(answer) == "Hello"
            assert len(crowd.hold.arrived) == 2
            crowd.hold.release()

    anyio.run(program, backend=backend)
