"""Streams that nobody closes: dropped as the loop ends, after it, at the end of the program, across a fork."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any

import anyio
import openai
import pytest

from llmstack import Call, Flow, Next, OpenAI, Reply, Stack
from llmstack._drivers import reaper
from llmstack.testing import LocalServer
from tests.clients.raw_server import Said, raw_server
from tests.core.side import MESSAGES, PREAMBLE, Side, chunk, trio_complains

# From Python 3.12 on the HTTP client's errors are in a cycle of their own, llmstack or not. On trio there is one in
# every stream that is left early: its generators are ended by reading from the closed connection.
ERRORS_ARE_CYCLES = sys.version_info >= (3, 12)
not_if_errors_are_cycles = pytest.mark.skipif(ERRORS_ARE_CYCLES, reason="the HTTP client's errors are in cycles")

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


@trio_complains
@pytest.mark.parametrize(
    "order",
    [
        pytest.param({}, id="whole"),
        pytest.param({"fault": "cut", "after": 3}, id="broken", marks=not_if_errors_are_cycles),
        pytest.param({"fault": "cut", "after": 1}, id="broken-early", marks=not_if_errors_are_cycles),
        pytest.param({"fault": "no_finish"}, id="incomplete"),
        pytest.param({"fault": "stall", "after": 6}, id="left"),
    ],
)
def test_a_finished_call_is_freed_without_the_garbage_collector(side: Side, server: Any, order: dict[str, Any]) -> None:
    """No cycle keeps a call, with all its chunks, once the program has let go of stream and error."""
    if ERRORS_ARE_CYCLES and side.name == "trio":
        pytest.skip("the HTTP client's errors are in cycles")
    alive: list[weakref.ref[Any]] = []
    left: list[Any] = []

    class Probe:
        pass

    def layer(call: Call, next: Next) -> Flow[Reply]:
        probe = Probe()
        alive.append(weakref.ref(probe))
        call.note(probe=probe)
        return (yield from next(call))

    rig = side.local(server)
    client = rig.client.with_options(stack=Stack([layer]))
    gate = server.next(**order)

    async def program() -> None:
        with contextlib.suppress(openai.OpenAIError):
            stream = await side.do(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
            count = 0
            async for _ in side.each(stream):
                count += 1
                if count == 5:
                    break
        stream = None
        await side.settle()
        if side.asynchronous:
            await anyio.wait_all_tasks_blocked()
        gate.release()
        left.extend(ref() for ref in alive if ref() is not None)
        await side.do(rig.client.close())

    gc.collect()
    gc.disable()
    try:
        side.run(program)
    finally:
        gc.enable()
    assert len(alive) == 1
    assert left == []


def _python(code: str, server: LocalServer, *flags: str) -> subprocess.CompletedProcess[str]:
    head = f"""
        import sys
        from llmstack import Call, OpenAI, AsyncOpenAI, Stack, hookimpl
        from llmstack.events import CallFinished

        class Tell:
            name = "tell"

            @hookimpl
            def llmstack_event(self, event):
                if isinstance(event, CallFinished):
                    print("finished", event.outcome, flush=True)

        def layer(call, next):
            try:
                reply = yield from next(call)
                print("resumed", reply.complete, flush=True)
                return reply
            finally:
                print("left", flush=True)

        STACK = Stack([layer, Tell()])
        OPTIONS = dict(base_url={server.base_url!r}, api_key="sk-test-not-a-key", stack=STACK)
        ASK = dict(model="m", messages=[dict(role="user", content="Hi")], stream=True)
    """
    return subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize(
    "last",
    [
        pytest.param("pass", id="held-by-a-global"),
        pytest.param("del stream", id="dropped"),
        pytest.param("sys.exit(0)", id="exit"),
        pytest.param("cycle = [stream]; cycle.append(cycle); del stream, cycle", id="in-a-cycle"),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_open_streams_at_the_end_of_the_program(server: LocalServer, last: str, kind: str) -> None:
    """The flow is resumed and the books close, without a word about it on stderr.

    (The HTTP client's async generators fail noisily if a loop ends before them, with or without llmstack.)
    """
    server.gate(after=4)
    if kind == "sync":
        code = f"""
            stream = OpenAI(**OPTIONS).chat.completions.create(**ASK)
            next(stream)
            {last}
        """
    else:
        code = f"""
            import asyncio

            async def main():
                global stream
                stream = await AsyncOpenAI(**OPTIONS).chat.completions.create(**ASK)
                async for _ in stream:
                    break

            asyncio.run(main())
            {last}
        """
    done = _python(code, server, "-X", "dev")
    assert done.stdout.split("\n") == ["resumed False", "left", "finished incomplete", ""]
    assert "llmstack" not in done.stderr
    assert "never awaited" not in done.stderr
    assert "destroyed" not in done.stderr
    if kind == "sync":
        assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_leaves_the_parents_streams_to_the_parent(server: LocalServer) -> None:
    """The child drops what it inherited without closing it; what it opens itself is closed."""
    server.gate(after=4)
    code = """
        import os
        client = OpenAI(**OPTIONS)
        stream = client.chat.completions.create(**ASK)
        next(stream)
        child = os.fork()
        if child == 0:
            del stream
            import gc; gc.collect()
            from llmstack._drivers.reaper import drain
            drain()
            print("child dropped it", flush=True)
            own = client.chat.completions.create(**ASK)
            next(own)
            del own
            drain()
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("parent again", flush=True)
        del stream
    """
    done = _python(code, server)
    assert done.stderr == ""
    assert done.stdout.split("\n") == [
        "child dropped it",
        "resumed False",
        "left",
        "finished incomplete",
        "parent again",
        "resumed False",
        "left",
        "finished incomplete",
        "",
    ]


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
