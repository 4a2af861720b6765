"""Of calls under way that ask the same, one asks and the others have its answer."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

import llmstack
from llmstack import Stack, options
from llmstack.middleware.cache import Cache, CacheHit
from llmstack.stores import open_store
from llmstack.testing import LocalServer, Recorder
from tests.core.side import Side
from tests.middleware.cache_crowd import Crowd, said
from tests.middleware.cache_rig import ASKED, Desk


@pytest.mark.parametrize("stream", [False, True])
def test_one_request_for_all(side: Side, stream: bool) -> None:  # noqa: FBT001
    """Those who wait are given copies of one answer, as streams or plain."""

    async def program() -> None:
        async with Crowd(side) as crowd:
            crowd.start(stream=stream)
            await crowd.until(arrived=1)
            crowd.start(9)
            crowd.start(10, stream=True)
            await crowd.until(waiting=19)
            crowd.hold.release()
            await crowd.until(answers=20)
        assert crowd.answers == ["Hello"] * 20
        assert len(crowd.rig.sent) == 1
        hits = crowd.rig.recorder.of(CacheHit)
        assert [(hit.shared, hit.stale) for hit in hits] == [(True, False)] * 19
        assert crowd.cache._tally.read(await held(crowd)).shared == 19  # noqa: SLF001 - without asking the store again

    side.run(program)


async def held(crowd: Crowd) -> Any:
    """What the cache holds."""
    from llmstack.effects import drive

    return drive(crowd.cache.store.stats())


def test_different_questions_do_not_wait_for_each_other(side: Side) -> None:
    """Nor do tenants."""

    async def program() -> None:
        async with Crowd(side, held=3) as crowd:
            crowd.start(seed=1)
            crowd.start(seed=2)
            crowd.start(extra_headers={"x-llmstack-tenant": "acme"})
            await crowd.until(arrived=3)
            for i in range(3):
                crowd.hold.release(i)

    side.run(program)


def test_it_can_be_switched_off(side: Side) -> None:
    """Then each asks for itself."""

    async def program() -> None:
        async with Crowd(side, held=2, single_flight=False) as crowd:
            crowd.start(2)
            await crowd.until(arrived=2)
            crowd.hold.release(0)
            crowd.hold.release(1)

    side.run(program)


def test_one_that_asks_anew_neither_waits_nor_is_waited_for(side: Side) -> None:
    """``cache="refresh"`` wants an answer of its own."""

    async def program() -> None:
        async with Crowd(side, held=2) as crowd:
            crowd.start()
            crowd.start(extra_headers={"x-llmstack-cache": "refresh"})
            await crowd.until(arrived=2)
            crowd.hold.release(0)
            crowd.hold.release(1)

    side.run(program)


def test_a_hundred_callers_in_threads_and_loops_make_one_request(server: LocalServer) -> None:
    """Fifty threads, and fifty tasks in two event loops of different kinds, all on one stack; some of them stream."""
    recorder, cache = Recorder(), Cache()
    stack = Stack([cache, recorder])
    given: dict[str, Any] = {"api_key": "sk-test-not-a-key", "base_url": server.base_url, "stack": stack}
    gate = server.gate()
    answers: list[str] = []

    async def tasks() -> None:
        async with llmstack.AsyncOpenAI(**given) as client:

            async def ask(*, stream: bool) -> None:
                answer: Any = await client.chat.completions.create(**ASKED, stream=stream)
                answers.append("".join([said(one) async for one in answer]) if stream else said(answer))

            async with anyio.create_task_group() as group:
                for i in range(25):
                    group.start_soon(lambda i=i: ask(stream=i % 5 == 0))

    def plain(client: Any, *, stream: bool) -> None:
        answer = client.chat.completions.create(**ASKED, stream=stream)
        answers.append("".join(map(said, answer)) if stream else said(answer))

    with llmstack.OpenAI(**given) as client:
        threads = [
            threading.Thread(target=anyio.run, args=(tasks,), kwargs={"backend": b}) for b in ("asyncio", "trio")
        ]
        threads += [threading.Thread(target=plain, args=(client,), kwargs={"stream": i % 5 == 0}) for i in range(50)]
        for thread in threads:
            thread.start()
        gate.wait_reached()
        patience, waiting = threading.Event(), 0
        for _ in range(1000):
            waiting = sum(len(flight.waiting) for flight in list(cache._flights._table.values()))  # noqa: SLF001
            if waiting == 99:
                break
            patience.wait(0.01)
        assert waiting == 99
        gate.release()
        for thread in threads:
            thread.join(20)
    assert len(answers) == 100
    assert set(answers) == {"You said: Say hello"}
    assert server.count() == 1
    assert [hit.shared for hit in recorder.of(CacheHit)] == [True] * 99
    assert len(cache._flights) == 0  # noqa: SLF001


def test_a_batch_of_embeddings_is_asked_once(side: Side, server: LocalServer) -> None:
    """Also the rest of one that is partly known."""
    desk = Desk(side, server)
    found: list[Any] = []

    async def embed() -> None:
        found.append([one.embedding for one in (await desk.embed("one", "two")).data])

    async def program() -> None:
        await desk.embed("one")
        gate = server.gate()
        if not side.asynchronous:
            threads = [threading.Thread(target=lambda: side.run(embed)) for _ in range(5)]
            for thread in threads:
                thread.start()
            gate.wait_reached()
            gate.release()
            for thread in threads:
                thread.join(10)
            return
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(embed)
            await anyio.to_thread.run_sync(gate.wait_reached)
            gate.release()

    with options(tags={"a": "b"}):
        desk.run(program)
    assert len(found) == 5
    assert all(one == found[0] for one in found)
    assert [request.json["input"] for request in server.requests] == [["one"], ["two"]]


def test_memory_is_looked_into_once_while_nobody_writes(side: Side, server: LocalServer) -> None:
    """And again by one who leads after another has written."""
    store: Any = open_store("memory://").cache()
    desk = Desk(side, server, store=store)
    looked: list[Any] = []
    get = store.get

    def watched(keys: Any) -> Any:
        looked.append(keys)
        if len(looked) == 3:  # another call is kept between this look and the lead
            desk.cache._at().shelf.writes += 1  # noqa: SLF001 - as it does
        return get(keys)

    async def program() -> None:
        store.get = watched
        await desk.ask()
        assert len(looked) == 1
        await desk.ask()
        assert len(looked) == 2
        await desk.ask(seed=1)
        assert len(looked) == 4

    desk.run(program)
    assert desk.sent == 2
