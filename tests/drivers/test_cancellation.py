"""A task may be cancelled at any await: nothing leaks, every book closes, and the cancellation gets through."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import parallel, race, run, sleep
from llmstack.middleware import CircuitBreaker, Retry
from llmstack.testing import LocalServer
from tests.core.side import Rig, Side, trio_complains
from tests.drivers.strikes import (
    WAYS,
    Program,
    Strikes,
    Way,
    by_helper,
    by_lines,
    closed_early,
    opened,
    plain,
    raw,
    read,
)

pytestmark = trio_complains

PROGRAMS: list[Program] = [plain, opened, read, closed_early, by_helper, by_lines, raw]


@pytest.mark.parametrize("bare", [False, True], ids=["layered", "bare"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_cancelled_at_every_await(
    server: LocalServer,
    program: Program,
    way: Way,
    bare: bool,  # noqa: FBT001
) -> None:
    """Over a real connection: none is left in use, every attempt and every call is in the books."""
    side = Side(way.loop)
    server.next(times=None, event_delay=0.0005)  # so that there is something to await between two events
    strikes = Strikes(side, lambda: side.local(server, bare=bare), program, way)
    side.run(strikes.everywhere)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", [plain, read], ids=lambda program: program.__name__)
def test_cancelled_at_every_await_of_a_retry(
    server: LocalServer,
    program: Program,
    way: Way,
) -> None:
    """Also while it waits between two sends."""
    side = Side(way.loop)

    def rig() -> Rig:
        server.reset()
        server.next(503, times=2)
        retry = Retry(attempts=3, deadline=1000, idle_timeout=30, breaker=CircuitBreaker())
        return side.local(server, [retry], max_retries=2)

    side.run(Strikes(side, rig, program, way).everywhere)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", [plain, read], ids=lambda program: program.__name__)
@pytest.mark.parametrize("first", [False, True], ids=["parallel", "race"])
def test_cancelled_at_every_await_of_several_flows(
    server: LocalServer,
    program: Program,
    way: Way,
    first: bool,  # noqa: FBT001
) -> None:
    """All branches end with the call."""
    side = Side(way.loop)

    def several(call: Call, next: Next) -> Flow[Reply]:
        if first:
            return (yield from race(next(call), next(call)))
        replies = yield from parallel(next(call), next(call))
        return replies[0]

    side.run(Strikes(side, lambda: side.local(server, [several]), program, way).everywhere)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", [plain, read, closed_early], ids=lambda program: program.__name__)
def test_what_is_shielded_is_done(program: Program, way: Way) -> None:
    """A layer that settles an account does so exactly once, wherever the cancellation strikes."""
    side = Side(way.loop)
    accounts: list[list[str]] = []

    def rig() -> Rig:
        account: list[str] = []
        accounts.append(account)

        async def settle() -> None:
            account.append("begun")
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            account.append("done")

        def budget(call: Call, next: Next) -> Flow[Reply]:
            try:
                return (yield from next(call))
            finally:
                yield from run(lambda: None, settle, shield=True)

        return side.rig([budget], ["Hello"])

    side.run(Strikes(side, rig, program, way).everywhere)
    assert all(account in ([], ["begun", "done"]) for account in accounts)
    assert accounts[-1] == ["begun", "done"]


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_cannot_swallow_a_cancellation(way: Way) -> None:
    """It gets through to the task, whatever a layer answers."""
    side = Side(way.loop)

    def swallows(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        except BaseException:  # noqa: BLE001
            return Reply({"choices": []})

    side.run(Strikes(side, lambda: side.rig([swallows], ["Hello"]), plain, way).everywhere)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_cancelled_sleep_stops_at_once(loop: str) -> None:
    """A retry that waits for its time does not keep a cancelled task."""
    side = Side(loop)

    def slow(call: Call, next: Next) -> Flow[Reply]:
        yield from sleep(3600)
        return (yield from next(call))

    rig = side.rig([slow])

    async def forever(seconds: float) -> None:
        await anyio.sleep(seconds)

    rig.clock.asleep = forever  # type: ignore[method-assign]

    async def program() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(rig.create)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    side.run(program)
    assert rig.finished.outcome == "cancelled"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_closing_after_a_cancellation_raises_nothing(loop: str) -> None:
    """The cancellation was that of one read; a later close has nothing to do with it."""
    side = Side(loop)
    rig = side.rig(default="Hello")

    async def program() -> None:
        stream = await rig.create(stream=True)
        with anyio.CancelScope() as scope:
            scope.cancel()
            async for _ in stream:
                pass
        assert scope.cancelled_caught
        await stream.close()
        assert await side.read(stream) == []

    side.run(program)
    assert rig.finished.outcome == "cancelled"
    rig.assert_clean()


def test_time_out_while_reading() -> None:
    """`asyncio.timeout` gives its own TimeoutError, as around any await."""
    side = Side("asyncio")

    async def never() -> None:
        await asyncio.Event().wait()

    def stuck(call: Call, next: Next) -> Flow[Reply]:
        yield from run(lambda: None, never)
        return (yield from next(call))

    rig = side.rig([stuck])

    async def program() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await rig.create()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    side.run(program)
    rig.assert_clean()


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_destroyed_coroutine_closes_its_books(loop: str) -> None:
    """Whoever closes a coroutine instead of cancelling its task gets no complaint, and the layers are left."""
    side = Side(loop)
    rig = side.rig(default="Hello")

    async def program() -> None:
        for n in range(1, 4):
            coroutine: Any = rig.create()
            for _ in range(n):
                try:
                    coroutine.send(None)
                except StopIteration:
                    break
                except Exception:  # noqa: BLE001 - a loop's own checkpoint, resumed by hand, may complain
                    break
            coroutine.close()

    side.run(program)
    rig.assert_clean()


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_after_the_end_marker_a_cancellation_is_no_failure(server: LocalServer, loop: str) -> None:
    """The SDK reads on after [DONE], for a moment, to keep the connection: that has no say in the books."""
    side = Side(loop)
    rig = side.local(server)
    whole = 8
    gate = server.gate(after=whole)

    async def program() -> None:
        stream = await rig.create(stream=True)
        seen = await side.read(stream)
        assert seen[-1].choices[0].finish_reason == "stop"
        gate.release()
        await rig.client.close()

    side.run(program)
    rig.assert_clean()
    assert gate.reached
    assert rig.finished.outcome == "ok"
