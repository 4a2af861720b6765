"""A task may be cancelled at any await: nothing leaks, every book closes, and the cancellation gets through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import parallel, race, run, sleep
from llmstack.events import CallFinished
from llmstack.middleware import CircuitBreaker, Retry
from llmstack.testing import LocalServer
from llmstack.testing._conformance.strike import struck
from tests.core.side import MESSAGES, Rig, Side, trio_complains

pytestmark = trio_complains

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


PROGRAMS: list[Program] = [plain, opened, read, closed_early, by_helper, by_lines, raw]


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
            task = asyncio.ensure_future(_only(self.program(rig), strike))
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


async def _only(coroutine: Coroutine[Any, Any, Any], strike: Callable[[int], None]) -> None:
    await struck(coroutine, strike)


WAYS = [
    pytest.param(Way("asyncio", native=True), id="task"),
    pytest.param(Way("asyncio", native=True, again=True), id="task-twice"),
    pytest.param(Way("asyncio"), id="asyncio-scope"),
    pytest.param(Way("trio"), id="trio-scope"),
]


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
