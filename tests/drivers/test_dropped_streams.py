"""Streams that nobody closes: dropped as the loop ends, after it, in many threads, with more of them still to come."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from typing import Any

import pytest

from llmstack import Call, Flow, Next, OpenAI, Reply, Stack
from llmstack._drivers import reaper
from llmstack.testing import LocalServer
from tests.clients.raw_server import Said, raw_server
from tests.core.side import PREAMBLE, Side, chunk, trio_complains

LONG = [PREAMBLE, *(chunk(f"{i} ") for i in range(50))]


@pytest.fixture(params=["asyncio", "trio"])
def loop(request: pytest.FixtureRequest) -> Any:
    """The two kinds of event loop."""
    side = Side(request.param)
    yield side
    side.assert_clean()


@trio_complains
@pytest.mark.parametrize("read", [0, 1], ids=["unread", "read"])
def test_dropped_by_the_last_line_of_the_program(loop: Side, server: LocalServer, read: int) -> None:
    """The loop ends just then: the stream is closed in it all the same."""
    rig = loop.local(server)
    gate = server.gate(after=4)

    async def program() -> None:
        stream = await rig.create(stream=True)
        if read:
            async for _ in stream:
                break

    loop.run(program)
    gate.release()
    rig.assert_clean()
    assert rig.finished.outcome == "incomplete"


@trio_complains
def test_dropped_by_a_task_that_the_end_of_the_loop_cancels(server: LocalServer) -> None:
    """`asyncio.run` cancels what is left; a stream in such a task is closed before the loop is."""
    side = Side("asyncio")
    rig = side.local(server)
    gate = server.gate(after=4)

    holding = asyncio.Event()

    async def holds() -> None:
        stream = await rig.create(stream=True)
        async for _ in stream:
            break
        holding.set()
        await asyncio.sleep(3600)

    async def program() -> None:
        task = asyncio.get_running_loop().create_task(holds())
        await holding.wait()
        assert not task.done()

    side.run(program)
    gate.release()
    side.assert_clean()


@trio_complains
def test_a_stream_that_outlives_its_loop(loop: Side) -> None:
    """Dropped when its loop has long ended, it is closed from a thread."""
    rig = loop.rig(default=LONG)
    kept: list[Any] = []

    async def program() -> None:
        for _ in range(2):
            stream = await rig.create(stream=True)
            await anext(aiter(stream))
            kept.append(stream)
        kept.append(await rig.create(stream=True))

    loop.run(program)
    kept.clear()
    gc.collect()
    reaper.drain()
    assert rig.witness.left == 3


def test_finalisers_take_no_lock_that_the_thread_may_hold() -> None:
    """A stream that is dropped while the thread starts another thread, of all moments, hangs nothing."""
    side = Side("sync")
    rig = side.rig(default=LONG)
    stream = rig.create(stream=True)
    with threading._active_limbo_lock:  # type: ignore[attr-defined]  # noqa: SLF001 - the lock that Thread.start takes
        del stream
    reaper.drain()
    side.assert_clean()


def test_many_dropped_at_once() -> None:
    """From many threads."""
    side = Side("sync")
    rig = side.rig(default=LONG)

    def drop() -> None:
        for _ in range(50):
            next(rig.create(stream=True))

    threads = [threading.Thread(target=drop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reaper.drain()
    for _ in range(100):
        if rig.witness.left == 400:
            break
        threading.Event().wait(0.01)
    side.assert_clean()


def test_what_fails_in_closing_does_not_stop_the_reaper() -> None:
    """The next one is closed all the same."""
    done = threading.Event()

    def fails() -> None:
        raise SystemExit

    reaper.reap(fails)
    reaper.reap(done.set)
    assert done.wait(5)


def test_a_spawned_task_survives_being_cancelled_before_it_begins() -> None:
    """As `asyncio.run` does it to all tasks when it ends."""
    from llmstack._drivers.loop import current_loop

    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("done")

    async def program() -> None:
        current_loop().spawn(work)

    asyncio.run(program())
    assert done == ["done"]


@pytest.mark.parametrize("ending", ["closed", "dropped"])
def test_what_had_arrived_and_was_not_read_makes_no_reply_complete(ending: str) -> None:
    """However the pieces fell into reads: the program took one chunk of three."""
    said = {"object": "chat.completion.chunk", "id": "c", "created": 1, "model": "m"}
    deltas = [({"role": "assistant"}, None), ({"content": "hi"}, None), ({}, "stop")]
    events = [{**said, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in deltas]
    lines = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    body = (lines[0], b"".join(lines[1:]) + b"data: [DONE]\n\n")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    first, rest = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body)
    told: list[bool] = []

    def look(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        told.append(reply.complete)
        return reply

    apart, together = (
        Said((head + first, rest + b"0\r\n\r\n"), pause=0.005),
        Said((head + first + rest + b"0\r\n\r\n",)),
    )
    with (
        raw_server(apart, together) as server,
        OpenAI(api_key="sk-test-not-a-key", base_url=server.url, stack=Stack([look])) as client,
    ):
        for _ in range(2):
            stream = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            next(stream)
            if ending == "closed":
                stream.close()
            del stream
            reaper.drain()
    assert told == [False, False]
