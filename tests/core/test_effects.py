"""What a layer asks for is done, in the program's own way, and comes back to it: sleeps, functions, futures, events."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import anyio
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import emit, monotonic, run, sleep, wait
from llmstack.errors import PluginError
from llmstack.events import Event
from llmstack.testing.scripted import text_body
from tests.core.one_call import error_of, once
from tests.core.side import Side


def test_sleep_takes_the_stacks_time(side: Side) -> None:
    """A layer's sleep is the clock's, and never negative."""

    def slow(call: Call, next: Next) -> Flow[Reply]:
        yield from sleep(1.5)
        yield from sleep(-3)
        return (yield from next(call))

    rig = side.rig([slow], ["Hello"])
    side.run(lambda: once(side, rig))
    assert rig.clock.sleeps == [1.5, 0.0]
    assert rig.finished.duration == 1.5


def test_monotonic_is_the_stacks_clock(side: Side) -> None:
    """Two readings differ by what was slept between them."""
    read: list[float] = []

    def timed(call: Call, next: Next) -> Flow[Reply]:
        read.append((yield from monotonic()))
        yield from sleep(2)
        read.append((yield from monotonic()))
        return (yield from next(call))

    rig = side.rig([timed], ["Hello"])
    side.run(lambda: once(side, rig))
    assert read[1] - read[0] == 2


def test_run_calls_what_fits_the_program(side: Side) -> None:
    """The sync function in a sync program, the async one awaited in an async one; the result comes back."""

    async def aname() -> str:
        await anyio.lowlevel.checkpoint()
        return "async"

    def asks(call: Call, next: Next) -> Flow[Reply]:
        ran = yield from run(lambda: "sync", aname)
        only = yield from run(lambda: "only")
        return Reply(text_body(call, f"{ran} {only}"))

    rig = side.rig([asks])
    reply = side.run(lambda: once(side, rig))
    assert reply.choices[0].message.content == f"{'async' if side.asynchronous else 'sync'} only"


def test_the_error_of_a_run_is_raised_where_it_was_asked_for(side: Side) -> None:
    """A layer may catch what its function raised."""

    def fails() -> None:
        raise LookupError

    async def afails() -> None:
        raise LookupError

    def catches(call: Call, next: Next) -> Flow[Reply]:
        for shield in (False, True):
            with pytest.raises(LookupError):
                yield from run(fails, afails, shield=shield)
        return (yield from next(call))

    rig = side.rig([catches], ["Hello"])
    side.run(lambda: once(side, rig))
    assert rig.finished.outcome == "ok"


def test_stop_iteration_from_a_run_is_an_error_like_any_other(side: Side) -> None:
    """It does not end the flow in silence."""

    def exhausted(call: Call, next: Next) -> Flow[Reply]:
        yield from run(lambda: iter(()).__next__())
        return (yield from next(call))

    rig = side.rig([exhausted])
    assert "exhausted" in str(error_of(side, rig, PluginError))


def test_wait_for_a_future_that_another_thread_sets(side: Side) -> None:
    """The result comes back; also if it was there before."""
    future: Future[str] = Future()
    ready: Future[str] = Future()
    ready.set_result("ready")
    setter = threading.Thread(target=lambda: future.set_result("set elsewhere"))

    def waits(call: Call, next: Next) -> Flow[Reply]:
        first = yield from wait(ready)
        setter.start()
        second = yield from wait(future)
        return Reply(text_body(call, f"{first}, {second}"))

    rig = side.rig([waits])
    reply = side.run(lambda: once(side, rig))
    setter.join()
    assert reply.choices[0].message.content == "ready, set elsewhere"


def test_wait_for_a_future_that_fails(side: Side) -> None:
    """Its error is raised in the layer."""
    future: Future[str] = Future()
    setter = threading.Thread(target=lambda: future.set_exception(LookupError()))

    def waits(call: Call, next: Next) -> Flow[Reply]:
        setter.start()
        with pytest.raises(LookupError):
            yield from wait(future)
        return (yield from next(call))

    rig = side.rig([waits], ["Hello"])
    side.run(lambda: once(side, rig))
    setter.join()


def test_waiting_can_be_bounded(side: Side) -> None:
    """What is not set in time may be waited for again."""
    future: Future[str] = Future()

    def waits(call: Call, next: Next) -> Flow[Reply]:
        for timeout in (0.0, 0.001):
            with pytest.raises(TimeoutError):
                yield from wait(future, timeout)
        future.set_result("late")
        return Reply(text_body(call, (yield from wait(future, 0.0))))

    rig = side.rig([waits])
    reply = side.run(lambda: once(side, rig))
    assert reply.choices[0].message.content == "late"


def test_a_future_set_after_the_loop_has_ended_disturbs_nobody(side: Side, caplog: pytest.LogCaptureFixture) -> None:
    """The waiting was cancelled long ago."""
    if not side.asynchronous:
        pytest.skip("a sync program waits")
    future: Future[str] = Future()

    def waits(call: Call, next: Next) -> Flow[Reply]:
        yield from wait(future)
        return (yield from next(call))

    rig = side.rig([waits])

    async def program() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(once, side, rig)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    side.run(program)
    future.set_result("too late")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert rig.finished.outcome == "cancelled"


def test_emit_tells_the_observers(side: Side) -> None:
    """A layer may publish events of its own; what is no event hurts nobody."""

    class Happened(Event):
        pass

    def tells(call: Call, next: Next) -> Flow[Reply]:
        yield from emit(Happened(call=call.info))
        return (yield from next(call))

    rig = side.rig([tells], ["Hello"])
    side.run(lambda: once(side, rig))
    assert len(rig.recorder.of(Happened)) == 1
