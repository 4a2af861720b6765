"""What a flow asks for is done, in the program's own way, and comes back to it: results, errors and interruptions."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from concurrent.futures import Future
from typing import Any

import anyio
import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import emit, monotonic, parallel, run, sleep, wait
from llmstack.errors import PluginError, RefusedError
from llmstack.events import Event
from llmstack.testing import Status
from llmstack.testing.scripted import text_body
from tests.core.side import PREAMBLE, Side, chunk, spoken, texts


async def whole(side: Side, rig: Any, *, stream: bool) -> None:
    """A call, its stream read to the end if it is streamed."""
    got = await side.do(rig.create(stream=stream))
    if stream:
        await side.read(got)


async def once(side: Side, rig: Any, **more: Any) -> Any:
    return await side.do(rig.create(**more))


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

    async def program() -> None:
        with pytest.raises(PluginError, match="exhausted"):
            await once(side, rig)

    side.run(program)


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


def test_parallel_gives_all_results_in_order(side: Side) -> None:
    """However long each takes."""

    def both(call: Call, next: Next) -> Flow[Reply]:
        replies = yield from parallel(next(call.with_params(model="a")), next(call.with_params(model="b")))
        return Reply(text_body(call, " ".join(reply.text for reply in replies)))

    rig = side.rig([both], default=lambda call: f"from {call.model}")
    reply = side.run(lambda: once(side, rig))
    assert reply.choices[0].message.content == "from a from b"
    assert sorted(attempt.number for attempt in rig.attempts) == [1, 2]
    assert rig.finished.attempts == 2


def test_parallel_of_nothing_is_nothing(side: Side) -> None:
    """No thread is started, no task."""

    def none(call: Call, next: Next) -> Flow[Reply]:
        assert (yield from parallel()) == []
        return (yield from next(call))

    rig = side.rig([none], ["Hello"])
    side.run(lambda: once(side, rig))


def test_parallel_nests(side: Side) -> None:
    """A flow inside a flow inside a flow."""

    def leaf(n: int) -> Flow[int]:
        yield from sleep(0)
        return n

    def branch(n: int) -> Flow[list[int]]:
        return (yield from parallel(leaf(n), leaf(n + 1)))

    def tree(call: Call, next: Next) -> Flow[Reply]:
        assert (yield from parallel(branch(1), branch(3))) == [[1, 2], [3, 4]]
        return (yield from next(call))

    rig = side.rig([tree], ["Hello"])
    side.run(lambda: once(side, rig))


def test_parallel_raises_the_first_error_unwrapped(side: Side) -> None:
    """The first in time; the SDK's own errors pass all layers as they are."""
    first_failed: Future[None] = Future()

    def late(call: Call, next: Next) -> Flow[Reply]:
        try:
            yield from wait(first_failed)
        finally:
            ended.append("late")
        raise LookupError

    def early(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        finally:
            first_failed.set_result(None)

    ended: list[str] = []

    def both(call: Call, next: Next) -> Flow[Reply]:
        yield from parallel(late(call, next), early(call, next))
        raise AssertionError

    rig = side.rig([both], [Status(418)])

    async def program() -> None:
        with pytest.raises(openai.APIStatusError) as caught:
            await once(side, rig)
        assert caught.value.status_code == 418

    side.run(program)
    assert ended == ["late"]


def test_the_slower_branch_is_cancelled_where_it_can_be(side: Side) -> None:
    """The first error cancels the other tasks; their layers' `finally` runs, and their sends are in the books."""
    if not side.asynchronous:
        pytest.skip("threads cannot be cancelled")
    never: Future[None] = Future()

    def forever(call: Call, next: Next) -> Flow[Reply]:
        try:
            yield from wait(never)
        finally:
            ended.append("forever")
        return (yield from next(call))

    ended: list[str] = []

    def both(call: Call, next: Next) -> Flow[Reply]:
        with pytest.raises(openai.APIStatusError):
            yield from parallel(forever(call, next), next(call))
        return (yield from next(call))

    rig = side.rig([both], [Status(418), "Hello"])
    side.run(lambda: once(side, rig))
    assert ended == ["forever"]
    assert rig.finished.outcome == "ok"


def test_parallel_sees_the_programs_context(side: Side) -> None:
    """Context variables are there in every branch; what a branch sets stays in it."""
    name = contextvars.ContextVar("name", default="unset")

    def branch(own: str) -> Flow[str]:
        seen = name.get()
        name.set(own)
        yield from sleep(0)
        return f"{seen}, {name.get()}"

    def both(call: Call, next: Next) -> Flow[Reply]:
        said = yield from parallel(branch("a"), branch("b"))
        return Reply(text_body(call, "; ".join((*said, name.get()))))

    rig = side.rig([both])

    async def program() -> Any:
        name.set("program")
        return await once(side, rig)

    assert side.run(program).choices[0].message.content == "program, a; program, b; program"


def test_a_stream_inside_parallel_is_read_to_its_end(side: Side) -> None:
    """A layer that races streams gets whole replies and delivers one."""

    def race(call: Call, next: Next) -> Flow[Reply]:
        replies = yield from parallel(next(call), next(call))
        assert all(reply.complete for reply in replies)
        return max(replies, key=lambda reply: len(reply.text))

    rig = side.rig([race], [spoken("No"), spoken("Cer", "tainly")])

    async def program() -> str:
        return texts(await side.read(await once(side, rig, stream=True)))

    assert side.run(program) == "Certainly"
    assert [attempt.outcome for attempt in rig.attempts] == ["ok", "ok"]


def test_a_stream_that_breaks_inside_parallel_is_closed(side: Side) -> None:
    """Its error is raised in the layer; both connections go back."""

    def race(call: Call, next: Next) -> Flow[Reply]:
        with pytest.raises(openai.APIError):
            yield from parallel(next(call), next(call))
        return (yield from next(call))

    broken = [PREAMBLE, chunk("x"), openai.OpenAIError("no API error")]
    bad = [PREAMBLE, {"error": {"message": "overloaded"}}]
    rig = side.rig([race], [bad, bad, "Hello"])
    odd = side.rig([lambda_race], [broken, broken])

    async def program() -> None:
        await side.read(await once(side, rig, stream=True))
        with pytest.raises(openai.OpenAIError, match="no API error"):
            await once(side, odd, stream=True)

    side.run(program)


def lambda_race(call: Call, next: Next) -> Flow[Reply]:
    (reply, _) = yield from parallel(next(call), next(call))
    return reply


def test_a_lazily_read_body_inside_parallel_is_whole(side: Side, server: Any) -> None:
    """Also if it is no JSON."""
    rig = side.local(server, [lambda_race])
    server.next(200, body=b"\x00\x01binary", headers={"content-type": "application/octet-stream"}, times=2)

    async def program() -> bytes:
        manager = rig.client.files.with_streaming_response.content("file-1")
        got = await side.read_bytes(manager)
        await side.do(rig.client.close())
        return got

    assert side.run(program) == b"\x00\x01binary"


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


@pytest.mark.parametrize("garbage", [None, 5, "text", object(), Future()], ids=lambda garbage: type(garbage).__name__)
def test_yielding_garbage_names_the_layer(side: Side, garbage: Any) -> None:
    """A layer may yield effects only."""

    def yields_garbage(call: Call, next: Next) -> Flow[Reply]:
        yield garbage
        return (yield from next(call))

    rig = side.rig([yields_garbage])

    async def program() -> None:
        with pytest.raises(PluginError, match="yields_garbage") as caught:
            await once(side, rig)
        assert isinstance(caught.value.__cause__, TypeError)

    side.run(program)


@pytest.mark.parametrize("garbage", [None, 5, "reply", {"choices": []}], ids=lambda garbage: type(garbage).__name__)
@pytest.mark.parametrize("stream", [False, True])
def test_returning_garbage_names_the_layer(side: Side, garbage: Any, stream: bool) -> None:  # noqa: FBT001
    """A layer must return a Reply; what was paid for comes with the error."""

    def returns_garbage(call: Call, next: Next) -> Any:
        yield from next(call)
        return garbage

    rig = side.rig([returns_garbage], ["Hello"])

    async def program() -> PluginError:
        with pytest.raises(PluginError, match="returns_garbage") as caught:
            await whole(side, rig, stream=stream)
        return caught.value

    error = side.run(program)
    assert error.plugin == "returns_garbage"
    assert error.reply is not None
    assert error.reply.text == "Hello"


@pytest.mark.parametrize("garbage", [None, {}, "call"], ids=lambda garbage: type(garbage).__name__)
@pytest.mark.parametrize("innermost", [False, True])
def test_passing_on_garbage_names_the_layer(side: Side, garbage: Any, innermost: bool) -> None:  # noqa: FBT001
    """`next` takes a Call, also in the layer next to the transport."""

    def passes_garbage(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(garbage))

    def inner(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call))

    rig = side.rig([passes_garbage] if innermost else [passes_garbage, inner])

    async def program() -> None:
        with pytest.raises(PluginError, match="called next with") as caught:
            await once(side, rig)
        assert caught.value.plugin == "passes_garbage"

    side.run(program)


def test_parallel_of_garbage_names_the_layer(side: Side) -> None:
    """It takes flows."""

    def parallel_garbage(call: Call, next: Next) -> Flow[Reply]:
        yield from parallel(next(call), "no flow")  # type: ignore[arg-type]
        return (yield from next(call))

    rig = side.rig([parallel_garbage])

    async def program() -> None:
        with pytest.raises(PluginError, match="parallel_garbage"):
            await once(side, rig)

    side.run(program)


def test_a_layer_that_returns_no_generator_is_named(side: Side) -> None:
    """A plugin that is written around the checks at registration."""
    from llmstack import hookimpl

    class Sly:
        name = "sly"

        @hookimpl
        def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
            return (yield from self.inner(call))

        def inner(self, call: Call) -> Any:
            return 7

    rig = side.rig([Sly()])

    async def program() -> None:
        with pytest.raises(PluginError, match="sly"):
            await once(side, rig)

    side.run(program)


@pytest.mark.parametrize("stream", [False, True])
def test_a_failing_layer_is_named_and_the_paid_reply_comes_with_it(side: Side, stream: bool) -> None:  # noqa: FBT001
    """The layer's own error is the cause."""

    def failing(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call)
        raise LookupError("private words")

    def outer(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call))

    rig = side.rig([outer, failing], ["Hello"])

    async def program() -> PluginError:
        with pytest.raises(PluginError) as caught:
            await whole(side, rig, stream=stream)
        return caught.value

    error = side.run(program)
    assert error.plugin == "failing"
    assert error.reply is not None
    assert error.reply.text == "Hello"
    assert error.call is not None
    assert isinstance(error.__cause__, LookupError)
    assert rig.finished.error is error


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("a bare JSONDecodeError"), id="ValueError"),
        pytest.param(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), id="UnicodeDecodeError"),
        pytest.param(RuntimeError("another loop"), id="RuntimeError"),
        pytest.param(openai.OpenAIError("odd"), id="OpenAIError"),
        pytest.param(StopAsyncIteration(), id="StopAsyncIteration"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_from_below_pass_unwrapped(side: Side, error: Exception, stream: bool) -> None:  # noqa: FBT001
    """What the SDK or the network raises is what the program gets: the same object, blamed on no layer."""

    def outer(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call))

    rig = side.rig([outer], [error])

    async def program() -> BaseException:
        with pytest.raises(type(error)) as caught:
            await once(side, rig, stream=stream)
        return caught.value

    assert side.run(program) is error
    assert rig.witness.errors == [error]
    assert rig.finished.error is error


def test_a_refusal_gets_plugin_and_call(side: Side) -> None:
    """A layer need not say who it is."""

    class PolicyError(RefusedError):
        pass

    def policy(call: Call, next: Next) -> Flow[Reply]:
        raise PolicyError("not today")
        yield

    rig = side.rig([policy])

    async def program() -> RefusedError:
        with pytest.raises(PolicyError) as caught:
            await once(side, rig)
        return caught.value

    error = side.run(program)
    assert error.plugin == "policy"
    assert error.call is not None
    assert error.call.endpoint == "chat.completions"
    assert rig.finished.outcome == "refused"
    assert rig.finished.attempts == 0


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
    never: Future[None] = Future()
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
            for name, make in (
                ("next", lambda: next(call)),
                ("sleep", lambda: sleep(60)),
                ("wait", lambda: wait(never)),
            ):
                try:
                    yield from make()
                except SystemExit:
                    refused.append(name)
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
