"""An interruption ends a call at once, whatever its layers make of it."""

from __future__ import annotations

import contextlib

import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import run, sleep
from llmstack.testing.scripted import text_body
from tests.core.one_call import once
from tests.core.refusals import refusals
from tests.core.side import Side


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("when", ["before", "after", "in-run"])
def test_an_interruption_in_a_layer_propagates(side: Side, kind: type[BaseException], when: str) -> None:
    """It is no plugin's error; the books close."""

    def interrupt() -> None:
        raise kind

    def interrupted(call: Call, next: Next) -> Flow[Reply]:
        if when == "before":
            interrupt()
        if when == "in-run":
            yield from run(interrupt)
        reply = yield from next(call)
        interrupt()
        return reply

    rig = side.rig([interrupted], ["Hello"])

    async def program() -> None:
        await once(side, rig)

    with pytest.raises(kind):
        side.run(program)
    assert rig.finished.outcome == "cancelled"
    assert isinstance(rig.finished.error, kind)


def test_a_layer_cannot_swallow_an_interruption(side: Side) -> None:
    """Whatever it answers, the interruption is what the program gets, and what the books say."""

    def interrupt() -> None:
        raise SystemExit

    def swallows(call: Call, next: Next) -> Flow[Reply]:
        with contextlib.suppress(BaseException):
            yield from run(interrupt)
        return Reply(text_body(call, "all is well"))

    rig = side.rig([swallows])

    async def program() -> None:
        await once(side, rig)

    with pytest.raises(SystemExit):
        side.run(program)
    assert rig.finished.outcome == "cancelled"


def test_after_an_interruption_nothing_more_is_sent_slept_or_waited_for(side: Side) -> None:
    """A layer may settle its accounts, at once; for more it is too late."""
    refused: list[str] = []
    settled: list[str] = []

    async def asettle() -> None:
        settled.append("settled")

    def interrupt() -> None:
        raise SystemExit

    def clings(call: Call, next: Next) -> Flow[Reply]:
        try:
            yield from run(interrupt)
        finally:
            refused.extend((yield from refusals(call, next, SystemExit)))
            yield from run(lambda: settled.append("settled"), asettle)
        raise AssertionError

    rig = side.rig([clings])

    async def program() -> None:
        await once(side, rig)

    with pytest.raises(SystemExit):
        side.run(program)
    assert refused == ["next", "sleep", "wait"]
    assert settled == ["settled"]
    assert rig.sent == []
    assert rig.clock.sleeps == []


def test_a_layer_that_goes_on_for_ever_after_an_interruption_is_ended(side: Side) -> None:
    """Nothing hangs; the interruption is what the program gets."""

    def interrupt() -> None:
        raise SystemExit

    def endless(call: Call, next: Next) -> Flow[Reply]:
        while True:
            try:
                yield from run(interrupt) if not rig.clock.sleeps else sleep(1)
                yield from sleep(1)
            except SystemExit:
                yield from _retry_later()

    def _retry_later() -> Flow[None]:
        while True:
            with contextlib.suppress(SystemExit):
                yield from sleep(1)

    rig = side.rig([endless])

    async def program() -> None:
        await once(side, rig)

    with pytest.raises(SystemExit):
        side.run(program)
    assert rig.clock.sleeps == []
