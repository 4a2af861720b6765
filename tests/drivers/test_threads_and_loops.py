"""Threads, tasks and several event loops are ordinary use of one stack, one client, one stream."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import sleep
from llmstack.events import CallFinished
from llmstack.testing import LocalServer
from tests.core.side import Side, spoken, texts


def echo(call: Call) -> list[Any]:
    """A stream that says what was asked."""
    return spoken(*(f"{word} " for word in call.params["messages"][0]["content"].split()))


def ask(rig: Any, words: str) -> Any:
    return rig.client.chat.completions.create(model="m", messages=[{"role": "user", "content": words}], stream=True)


def test_a_stream_opened_in_one_thread_is_read_in_another() -> None:
    """The flow is resumed where the stream ends."""
    side = Side("sync")
    threads: list[int] = []

    def notes(call: Call, next: Next) -> Flow[Reply]:
        threads.append(threading.get_ident())
        reply = yield from next(call)
        yield from sleep(1)
        threads.append(threading.get_ident())
        return reply

    rig = side.rig([notes], [spoken("Hel", "lo")])
    stream = rig.create(stream=True)
    with ThreadPoolExecutor(1) as pool:
        assert texts(pool.submit(list, stream).result()) == "Hello"
    assert threads[0] == threading.get_ident() != threads[1]
    side.assert_clean()


def test_a_stream_read_by_several_threads_in_turn() -> None:
    """Each chunk reaches one of them."""
    side = Side("sync")
    rig = side.rig(script=[spoken(*"abcdefghij")])
    stream = rig.create(stream=True)
    turn = threading.Lock()
    seen: list[Any] = []

    def read() -> None:
        while True:
            with turn:
                item = next(stream, None)
                if item is None:
                    return
                seen.append(item)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert texts(seen) == "abcdefghij"
    side.assert_clean()


def test_a_stream_opened_in_one_task_is_read_in_another(side: Side) -> None:
    """And in another context."""
    if not side.asynchronous:
        pytest.skip("tasks are for event loops")
    who = contextvars.ContextVar("who", default="nobody")
    seen: list[str] = []

    def notes(call: Call, next: Next) -> Flow[Reply]:
        seen.append(who.get())
        reply = yield from next(call)
        seen.append(who.get())
        return reply

    rig = side.rig([notes], [spoken("Hel", "lo")])

    async def read(stream: Any) -> None:
        who.set("reader")
        assert texts(await side.read(stream)) == "Hello"

    async def program() -> None:
        who.set("opener")
        stream = await rig.create(stream=True)
        async with anyio.create_task_group() as group:
            group.start_soon(read, stream)

    side.run(program)
    assert seen == ["opener", "reader"]


def test_many_concurrent_streams(side: Side, server: LocalServer) -> None:
    """Each gets its own answer, over real connections."""
    rig = side.local(server)
    answers: dict[str, str] = {}

    async def one(words: str) -> None:
        answers[words] = texts(await side.read(await ask(rig, words)))

    def sync_one(words: str) -> None:
        answers[words] = texts(list(ask(rig, words)))

    async def program() -> None:
        questions = [f"question {n}" for n in range(40)]
        if side.asynchronous:
            async with anyio.create_task_group() as group:
                for words in questions:
                    group.start_soon(one, words)
        else:
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(sync_one, questions))
        await side.do(rig.client.close())

    side.run(program)
    assert answers == {f"question {n}": f"You said: question {n}" for n in range(40)}
    assert {event.outcome for event in rig.recorder.of(CallFinished)} == {"ok"}


def test_sixteen_threads_beside_a_loop() -> None:
    """Sync calls in threads, async ones in a loop, and sync ones inside the loop, on one stack."""
    side = Side("sync")
    rig = side.rig(default=echo)
    beside = Side("asyncio")
    aclient = beside.rig().client.with_options(stack=rig.stack)

    def fifty(n: int) -> None:
        for i in range(50):
            assert texts(ask(rig, f"{n} {i}")) == f"{n} {i} "

    async def program() -> None:
        for i in range(50):
            asked = [{"role": "user", "content": f"async {i}"}]
            stream = await aclient.chat.completions.create(model="m", messages=asked, stream=True)  # type: ignore[call-overload]
            assert texts([c async for c in stream]) == f"async {i} "
            assert texts(ask(rig, f"inside {i}")) == f"inside {i} "

    with ThreadPoolExecutor(16) as pool:
        done = [pool.submit(fifty, n) for n in range(16)]
        asyncio.run(program())
        for future in done:
            future.result()
    side.assert_clean()
    assert len(rig.recorder.of(CallFinished)) == 16 * 50 + 100


def test_two_event_loops_with_one_stack() -> None:
    """One after the other and at the same time."""
    side = Side("asyncio")
    rig = side.rig(default=echo)

    async def program() -> None:
        for i in range(10):
            assert texts(await side.read(await ask(rig, f"loop {i}"))) == f"loop {i} "

    asyncio.run(program())
    asyncio.run(program())
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(asyncio.run, program()) for _ in range(3)]:
            future.result()
        pool.submit(anyio.run, program, backend="trio").result()
    side.assert_clean()
