"""Programs that are cancelled at their first await, their second, and so on, in every way there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from llmstack.events import CallFinished
from llmstack.testing._conformance.strike import struck
from tests.core.side import MESSAGES, Rig, Side

Program = Callable[[Rig], Coroutine[Any, Any, Any]]


async def plain(rig: Rig) -> None:
    await rig.create()


async def opened(rig: Rig) -> None:
    stream = await rig.create(stream=True)
    await stream.close()


async def read(rig: Rig) -> None:
    async with await rig.create(stream=True) as stream:
        async for _ in stream:
            pass


async def closed_early(rig: Rig) -> None:
    stream = await rig.create(stream=True)
    async for _ in stream:
        break
    await stream.close()


async def by_helper(rig: Rig) -> None:
    async with rig.client.chat.completions.stream(model="m", messages=MESSAGES) as stream:
        await stream.get_final_completion()


async def by_lines(rig: Rig) -> None:
    create = rig.client.chat.completions.with_streaming_response.create
    async with create(model="m", messages=MESSAGES, stream=True) as response:
        async for _ in response.iter_lines():
            pass


async def raw(rig: Rig) -> None:
    got = await rig.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True)
    async with got.parse() as stream:
        async for _ in stream:
            pass


@dataclass(frozen=True)
class Way:
    """How a program is cancelled.

    Attributes:
        loop: The event loop.
        native: True for ``task.cancel()`` of asyncio, False for a cancel scope.
        again: True for a second time, at the next suspension.
    """

    loop: str
    native: bool = False
    again: bool = False


class Strikes:
    """Where the cancellation comes from, and how often."""

    def __init__(self, side: Side, rig: Callable[[], Rig], program: Program, way: Way) -> None:
        self.side = side
        self.rig = rig
        self.program = program
        self.way = way

    async def at(self, n: int) -> bool:
        """Run the program once, cancelled at its n-th suspension; False if it has fewer."""
        rig = self.rig()
        task, reached = None, False

        def strike(count: int) -> None:
            nonlocal reached
            if count == n or (self.way.again and count == n + 1):
                reached = True
                task.cancel() if task is not None else scope.cancel()

        if self.way.native:
            task = asyncio.ensure_future(only(self.program(rig), strike))
            try:
                await task
                assert not reached
            except asyncio.CancelledError:
                assert reached
        else:
            with anyio.CancelScope() as scope:
                await struck(self.program(rig), strike)
            # A scope that is cancelled at the very last step has nothing left to cancel.
            assert scope.cancelled_caught <= reached
        await self.side.settle()
        rig.assert_clean()
        outcomes = [event.outcome for event in rig.recorder.of(CallFinished)]
        assert set(outcomes) <= {"ok", "cancelled", "incomplete"}, outcomes
        await rig.client.close()
        return reached

    async def everywhere(self) -> None:
        """At the first suspension, the second, and so on, until the program has no more."""
        n = 1
        while await self.at(n):
            n += 1
            assert n < 1000
        assert n > 1


async def only(coroutine: Coroutine[Any, Any, Any], strike: Callable[[int], None]) -> None:
    await struck(coroutine, strike)


WAYS = [
    pytest.param(Way("asyncio", native=True), id="task"),
    pytest.param(Way("asyncio", native=True, again=True), id="task-twice"),
    pytest.param(Way("asyncio"), id="asyncio-scope"),
    pytest.param(Way("trio"), id="trio-scope"),
]
