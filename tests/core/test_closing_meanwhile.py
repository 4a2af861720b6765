"""A stream may be closed while somebody else reads it, opens its successor, or closes it too."""

from __future__ import annotations

import threading
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.testing import LocalServer
from tests.core.endings import LONG, read_some
from tests.core.side import PREAMBLE, Side, lost, texts


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
