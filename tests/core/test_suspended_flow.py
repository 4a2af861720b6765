"""However a stream ends, its suspended flow is resumed exactly once and its connection goes back."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.testing import LocalServer
from tests.core.side import MESSAGES, PREAMBLE, Rig, Side, chunk, lost, spoken, texts, trio_complains

LONG = [PREAMBLE, *(chunk(f"{i} ") for i in range(50))]


async def read_some(side: Side, stream: Any, count: int = 2) -> list[Any]:
    """The first chunks of a stream; nobody holds it afterwards for that."""
    seen: list[Any] = []
    async for c in side.each(stream):
        seen.append(c)
        if len(seen) == count:
            break
    return seen


async def to_the_end(side: Side, rig: Rig) -> None:
    await side.read(await side.do(rig.create(stream=True)))


async def to_the_end_and_closed(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    await side.read(stream)
    await side.close(stream)


async def closed(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    await read_some(side, stream)
    await side.close(stream)


async def closed_twice(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    await read_some(side, stream)
    await side.close(stream)
    await side.close(stream)


async def closed_unread(side: Side, rig: Rig) -> None:
    await side.close(await side.do(rig.create(stream=True)))


async def closed_inside_the_loop(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    count = 0
    async for _ in side.each(stream):
        count += 1
        await side.close(stream)
    assert count == 1


async def broken_out_of_with(side: Side, rig: Rig) -> None:
    if side.asynchronous:
        async with await rig.create(stream=True) as stream:
            async for _ in stream:
                break
    else:
        with rig.create(stream=True) as stream:
            for _ in stream:
                break


async def raised_out_of_with(side: Side, rig: Rig) -> None:
    with contextlib.suppress(KeyError):
        if side.asynchronous:
            async with await rig.create(stream=True) as stream:
                async for _ in stream:
                    raise KeyError
        else:
            with rig.create(stream=True) as stream:
                for _ in stream:
                    raise KeyError


async def broken_out_and_dropped(side: Side, rig: Rig) -> None:
    if side.asynchronous:
        async for _ in await rig.create(stream=True):
            break
    else:
        for _ in rig.create(stream=True):
            break
    await side.settle()


async def dropped_unread(side: Side, rig: Rig) -> None:
    await side.do(rig.create(stream=True))
    await side.settle()


async def dropped_in_a_cycle(side: Side, rig: Rig) -> None:
    holder: list[Any] = []
    holder.append((await side.do(rig.create(stream=True)), holder))
    await read_some(side, holder[0][0])
    del holder
    gc.collect()
    await side.settle()


async def response_closed(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    await read_some(side, stream)
    await (stream.response.aclose() if side.asynchronous else side.do(stream.response.close()))


async def left_chat_helper(side: Side, rig: Rig) -> None:
    manager = rig.client.chat.completions.stream(model="m", messages=MESSAGES)
    if side.asynchronous:
        async with manager as stream:
            async for _ in stream:
                break
    else:
        with manager as stream:
            for _ in stream:
                break


async def left_streaming_response(side: Side, rig: Rig) -> None:
    manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
    if side.asynchronous:
        async with manager as response:
            async for _ in response.iter_lines():
                break
    else:
        with manager as response:
            for _ in response.iter_lines():
                break


async def left_streaming_response_unread(side: Side, rig: Rig) -> None:
    manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
    if side.asynchronous:
        async with manager:
            pass
    else:
        with manager:
            pass


async def dropped_raw_response(side: Side, rig: Rig) -> None:
    await side.do(rig.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True))
    await side.settle()


async def dropped_parsed_raw_response(side: Side, rig: Rig) -> None:
    raw = await side.do(rig.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True))
    stream = raw.parse()
    await read_some(side, stream)
    del raw, stream
    gc.collect()  # the SDK's raw response and what it parsed hold each other
    await side.settle()


Ending = Callable[[Side, Rig], Awaitable[None]]

WHOLE: list[Ending] = [to_the_end, to_the_end_and_closed]
EARLY: list[Ending] = [
    closed,
    closed_twice,
    closed_unread,
    closed_inside_the_loop,
    broken_out_of_with,
    raised_out_of_with,
    broken_out_and_dropped,
    dropped_unread,
    dropped_in_a_cycle,
    response_closed,
    left_chat_helper,
    left_streaming_response,
    left_streaming_response_unread,
    dropped_raw_response,
    dropped_parsed_raw_response,
]


@trio_complains
@pytest.mark.parametrize("ending", [*WHOLE, *EARLY], ids=lambda ending: ending.__name__)
def test_flow_is_resumed_once_on_a_scripted_stream(side: Side, ending: Ending) -> None:
    """The layers hear of the end, whatever it is, and know whether the reply is whole."""
    rig = side.rig(script=[spoken("Hel", "lo")] if ending in WHOLE else [LONG])

    async def program() -> None:
        await ending(side, rig)
        assert rig.witness.left == 1

    side.run(program)
    assert rig.witness.reply.complete == (ending in WHOLE)
    assert rig.finished.outcome == ("ok" if ending in WHOLE else "incomplete")


@trio_complains
@pytest.mark.parametrize("bare", [False, True], ids=["layered", "bare"])
@pytest.mark.parametrize("ending", [*WHOLE, *EARLY], ids=lambda ending: ending.__name__)
def test_connection_goes_back_on_a_real_stream(side: Side, server: LocalServer, ending: Ending, bare: bool) -> None:  # noqa: FBT001
    """The same with a real connection, of which nothing is left; with layers and without any."""
    rig = side.local(server, bare=bare)
    gate = server.gate(after=4) if ending not in WHOLE else None

    async def program() -> None:
        await ending(side, rig)
        if gate is not None:
            gate.release()
        rig.assert_clean()
        await side.do(rig.client.close())

    side.run(program)
    assert rig.finished.outcome == ("ok" if ending in WHOLE else "incomplete")
    server.wait_for(lambda server: server.open_connections == 0)


def test_a_dropped_stream_is_released_without_the_garbage_collector(side: Side) -> None:
    """Dropping the last reference is enough, read or never read."""
    rig = side.rig(default=LONG)

    async def program() -> None:
        gc.collect()
        gc.disable()
        try:
            for count in (0, 1, 5):
                stream = await side.do(rig.create(stream=True))
                if count:
                    await read_some(side, stream, count)
                del stream
                await side.settle()
                assert rig.transport is not None
                assert rig.transport.open == 0
        finally:
            gc.enable()

    side.run(program)
    assert rig.witness.left == 3


def test_error_in_mid_stream_resumes_the_flow_with_it(side: Side) -> None:
    """The layers get the very error that the program gets."""
    error = lost()
    rig = side.rig(script=[[PREAMBLE, chunk("Hel"), error]])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        with pytest.raises(openai.APIConnectionError) as caught:
            await side.read(stream)
        assert caught.value is error
        assert await side.read(stream) == []

    side.run(program)
    assert rig.witness.errors == [error]


def test_effects_after_the_end_are_served(side: Side) -> None:
    """What a layer asks for when it is resumed is done, whoever ended the stream and how."""
    from llmstack.effects import monotonic, run, sleep

    done: list[str] = []

    async def aput() -> None:
        done.append("async")

    def settles(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        yield from sleep(3.0)
        yield from run(lambda: done.append("sync"), aput)
        done.append(str((yield from monotonic())))
        return reply

    rig = side.rig([settles], [spoken("Hello"), LONG, LONG])
    what = "async" if side.asynchronous else "sync"

    async def program() -> None:
        await to_the_end(side, rig)
        await closed(side, rig)
        await broken_out_and_dropped(side, rig)

    side.run(program)
    assert done == [what, "1003.0", what, "1006.0", what, "1009.0"]


def test_a_layers_error_at_closing_reaches_who_closes(side: Side) -> None:
    """Closing is where the layer's own failure surfaces; the books have it too."""
    from llmstack.errors import PluginError

    def fails(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call)
        raise LookupError

    rig = side.rig([fails], [LONG])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        await read_some(side, stream)
        with pytest.raises(PluginError, match="fails"):
            await side.close(stream)
        await side.close(stream)

    side.run(program)
    assert isinstance(rig.finished.error, PluginError)


def test_sending_again_at_closing_is_refused(side: Side) -> None:
    """A layer that wants a whole reply cannot have one when nobody reads; closing does not fail for that."""

    def wants_more(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        return reply if reply.complete else (yield from next(call))

    rig = side.rig([wants_more], [LONG, "never sent"])

    async def program() -> None:
        await closed(side, rig)

    side.run(program)
    assert len(rig.sent) == 1
    assert rig.finished.outcome == "incomplete"


def test_closing_from_another_thread_while_a_read_is_blocked(server: LocalServer) -> None:
    """`close()` returns at once, the blocked reader just comes to the end, and the connection is gone."""
    side = Side("sync")
    rig = side.local(server)
    gate = server.gate(after=3)
    stream = rig.create(stream=True)
    seen: list[Any] = []
    reading = threading.Event()

    def read() -> None:
        for c in stream:
            seen.append(c)
            reading.set()

    reader = threading.Thread(target=read)
    reader.start()
    reading.wait(5)
    gate.wait_reached()
    while len(texts(seen)) == 0:
        pass
    stream.close()
    reader.join(5)
    assert not reader.is_alive()
    gate.release()
    assert not rig.witness.reply.complete
    side.assert_clean()
    rig.client.close()


def test_closing_from_another_task_while_a_read_is_blocked(side: Side, server: LocalServer) -> None:
    """The same on an event loop."""
    if not side.asynchronous:
        pytest.skip("tasks are for event loops")
    import anyio

    rig = side.local(server)
    gate = server.gate(after=3)

    async def program() -> None:
        stream = await rig.create(stream=True)
        await read_some(side, stream, 1)
        async with anyio.create_task_group() as group:
            group.start_soon(side.read, stream)
            await anyio.to_thread.run_sync(gate.wait_reached)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            await stream.close()
        assert not rig.witness.reply.complete
        rig.assert_clean()
        gate.release()
        await rig.client.close()

    side.run(program)


@pytest.mark.parametrize("order", ["reader-first", "closer-first"])
def test_closing_while_the_flow_opens_another_stream(order: str) -> None:
    """A stream that is opened just while the program closes is closed too: whoever comes second does it."""
    side = Side("sync")
    opening, go_on = threading.Event(), threading.Event()

    def second(call: Call) -> Any:
        opening.set()
        go_on.wait(5)
        return LONG

    def again(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        except openai.APIError:
            return (yield from next(call))

    rig = side.rig([again], [[PREAMBLE, lost()], second])
    stream = rig.create(stream=True)
    reader = threading.Thread(target=lambda: [None for _ in stream])
    reader.start()
    assert opening.wait(5)
    if order == "closer-first":
        stream.close()
        go_on.set()
    else:
        go_on.set()
        stream.close()
    reader.join(5)
    assert not reader.is_alive()
    side.assert_clean()
    assert rig.finished.attempts == 2


def test_two_threads_that_close_at_once_resume_the_flow_once() -> None:
    """Over and over, since this is a race."""
    side = Side("sync")
    rig = side.rig(default=LONG)
    for _ in range(100):
        stream = rig.create(stream=True)
        next(stream)
        barrier = threading.Barrier(3)

        def close(stream: Any = stream, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            stream.close()

        threads = [threading.Thread(target=close) for _ in range(2)]
        for thread in threads:
            thread.start()
        barrier.wait()
        list(stream)
        for thread in threads:
            thread.join()
    side.assert_clean()
