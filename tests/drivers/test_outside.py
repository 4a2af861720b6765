"""Flows that belong to no call."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from llmstack import Call, Flow
from llmstack._core.effects import Send
from llmstack.effects import adrive, drive, emit, monotonic, now, parallel, run, sleep
from llmstack.events import CallStarted
from llmstack.testing import FakeClock


def flow() -> Flow[list[Any]]:
    """One that asks for about everything."""
    started = yield from monotonic()
    yield from sleep(5)
    yield from emit(CallStarted(call=Call(path="/x", endpoint="x").info))

    async def three() -> int:
        await anyio.lowlevel.checkpoint()
        return 3

    branches = yield from parallel(now(), run(lambda: 3.0, three))
    return [(yield from monotonic()) - started, *branches]


def test_it_has_time_and_may_do_io() -> None:
    """In a program without an event loop."""
    clock = FakeClock()
    before = clock.time()
    assert drive(flow(), clock=clock) == [5, before + 5, 3]


async def test_the_same_in_an_async_program() -> None:
    """On whatever loop."""
    clock = FakeClock()
    before = clock.time()
    assert await adrive(flow(), clock=clock) == [5, before + 5, 3]


def test_its_errors_come_out_and_it_may_catch_them() -> None:
    """As in a call."""

    def fails() -> Any:
        raise KeyError("lost")

    def catches() -> Flow[str]:
        try:
            yield from run(fails)
        except KeyError:
            return "caught"
        return "not raised"

    assert drive(catches()) == "caught"
    with pytest.raises(KeyError):
        drive(run(fails))


def test_it_cannot_send() -> None:
    """There is no call."""

    def sends() -> Flow[None]:
        yield Send(Call(path="/x", endpoint="x"))

    with pytest.raises(TypeError, match="belongs to no call"):
        drive(sends())
