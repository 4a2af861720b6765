"""Processes that share a store make one request together; and a fork leaves both sides free."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from llmstack.effects import drive
from llmstack.middleware.cache import CacheHit
from llmstack.stores import CacheStore, open_store
from llmstack.testing import LocalServer
from tests.core.side import Side, lost
from tests.middleware.cache_crowd import Crowd
from tests.middleware.cache_rig import Desk

ASKER = """
import sys, threading
import llmstack
from llmstack.middleware import Cache
url, store = sys.argv[1:]
answers = []
stack = llmstack.Stack([Cache(store=store)])
with stack, llmstack.OpenAI(api_key="sk-test-not-a-key", base_url=url, stack=stack) as client:
    def ask():
        answer = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Say hello"}], temperature=0
        )
        answers.append((answer.id, answer.choices[0].message.content))
    threads = [threading.Thread(target=ask) for _ in range(5)]
    print("ready", flush=True)
    sys.stdin.readline()
    for thread in threads: thread.start()
    print("asking", flush=True)
    for thread in threads: thread.join()
print(len(answers), *set(answers))
"""


def test_several_processes_make_one_request(server: LocalServer, tmp_path: Path) -> None:
    """Those that wait find the answer in the store that they share."""
    gate = server.gate()
    store = f"sqlite:///{tmp_path}/cache.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASKER, server.base_url, store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "asking\n"
        gate.wait_reached()
        gate.release()
        told = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    (one,) = set(told)
    assert one.startswith("5 ('chatcmpl-")
    assert one.count("(") == 1
    assert server.count() == 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CacheStore]:
    """One that processes can share."""
    store = open_store(f"sqlite:///{tmp_path}/cache.db").cache()
    yield store
    store.close()


def key_of(crowd: Crowd) -> str:
    """The key of what a crowd asks."""
    seen: list[str] = []

    def look(call: Any, next: Any) -> Any:
        seen.append(crowd.cache.explain_key(call).key)
        return (yield from next(call))

    Side("sync").rig([look], ["Hello"]).create(temperature=0)
    return seen[0]


def test_while_another_process_asks_the_store_is_looked_at(side: Side, store: CacheStore) -> None:
    """Until the answer is there; it counts as shared."""

    async def program() -> None:
        async with Crowd(side, held=0, store=store) as crowd:
            crowd.start()
            await crowd.until(answers=1)
            key = key_of(crowd)
            (kept,) = drive(store.get([key]), clock=crowd.rig.clock)
            assert kept is not None
            drive(store.delete([key]), clock=crowd.rig.clock)
            assert drive(store.lease(key, "another process", 60), clock=crowd.rig.clock)
            looked = 0
            get = store.get

            def later(keys: Any) -> Any:
                nonlocal looked
                looked += 1
                if looked == 4:
                    yield from store.set({key: kept}, tenant="")
                return (yield from get(keys))

            store.get = later  # type: ignore[method-assign]
            crowd.start()
            await crowd.until(answers=2)
            assert len(crowd.rig.sent) == 1
            assert [hit.shared for hit in crowd.rig.recorder.of(CacheHit)] == [True]
            assert crowd.rig.clock.sleeps == sorted(crowd.rig.clock.sleeps)
            assert len(crowd.rig.clock.sleeps) == 3

    side.run(program)


def test_a_process_that_died_is_waited_for_until_its_lease_ends(side: Side, store: CacheStore) -> None:
    """Then another asks; a stream that is begun by it would be waited for as long as is said."""

    async def program() -> None:
        async with Crowd(side, held=0, store=store) as crowd:
            assert drive(store.lease(key_of(crowd), "dead", 60), clock=crowd.rig.clock)
            crowd.start()
            await crowd.until(answers=1)
            assert 60 <= sum(crowd.rig.clock.sleeps) < 61
            assert len(crowd.rig.sent) == 1

    side.run(program)


def test_nobody_waits_for_another_process_longer_than_it_may_take(side: Side, store: CacheStore) -> None:
    """Its time-out is over: it asks for itself, and leaves the other's lease alone."""

    async def program() -> None:
        async with Crowd(side, held=0, store=store) as crowd:
            key = key_of(crowd)
            assert drive(store.lease(key, "another process", 60), clock=crowd.rig.clock)
            crowd.start(timeout=5)
            await crowd.until(answers=1)
            assert sum(crowd.rig.clock.sleeps) < 5
            assert not drive(store.lease(key, "a third", 1), clock=crowd.rig.clock)

    side.run(program)


@pytest.mark.parametrize("how", ["answered", "failed", "cut short"])
def test_the_lease_is_given_back(side: Side, store: CacheStore, how: str) -> None:
    """Whatever became of the call."""

    async def program() -> None:
        async with Crowd(side, held=1, store=store, stream_usage=False) as crowd:
            key = key_of(crowd)
            if how == "cut short":
                crowd.hold.release()
                stream = await side.do(crowd.rig.create(temperature=0, stream=True))
                assert not drive(store.lease(key, "another process", 1), clock=crowd.rig.clock)
                await side.close(stream)
            else:
                crowd.start()
                await crowd.until(arrived=1)
                assert not drive(store.lease(key, "another process", 1), clock=crowd.rig.clock)
                crowd.hold.fail(lost()) if how == "failed" else crowd.hold.release()
        assert drive(store.lease(key, "another process", 1), clock=crowd.rig.clock)
        assert len(crowd.errors) == (how == "failed")
        assert all(isinstance(error, openai.APIConnectionError) for error in crowd.errors)

    side.run(program)


def test_the_lease_of_a_call_that_is_cancelled_is_given_back(side: Side, store: CacheStore) -> None:
    """Also while others wait, who are then the ones to ask."""
    if not side.asynchronous:
        pytest.skip("threads cannot be cancelled")

    async def program() -> None:
        async with Crowd(side, held=2, store=store) as crowd:
            key = key_of(crowd)
            crowd.start()
            await crowd.until(arrived=1)
            crowd.start(3)
            await crowd.until(waiting=3)
            crowd.scopes[0].cancel()
            await crowd.until(arrived=2, waiting=2)
            crowd.hold.release(1)
        assert crowd.answers == ["Hello"] * 3
        assert drive(store.lease(key, "another process", 1), clock=crowd.rig.clock)

    side.run(program)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_wait_for_what_its_parent_asks() -> None:
    """Who asks there answers nobody here."""
    side = Side("sync")

    async def program() -> None:
        async with Crowd(side, held=1) as crowd:
            crowd.start()
            await crowd.until(arrived=1)
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    answer = crowd.rig.create(temperature=0)
                    status = 0 if answer.choices[0].message.content == "Hello" else 2
                finally:
                    os._exit(status)
            _, status = os.waitpid(child, 0)  # noqa: ASYNC222 - a sync program, whatever it is written as
            crowd.hold.release()
        assert os.waitstatus_to_exitcode(status) == 0
        assert crowd.answers == ["Hello"]

    side.run(program)


def test_no_lease_is_left(side: Side, server: LocalServer, store: Any) -> None:
    """After a plain call to a real server."""
    taken: list[str] = []
    lease, unlease = store.lease, store.unlease

    def watched_lease(key: str, owner: str, seconds: float) -> Any:
        taken.append(key)
        return lease(key, owner, seconds)

    def watched_unlease(key: str, owner: str) -> Any:
        taken.remove(key)
        return unlease(key, owner)

    store.lease, store.unlease = watched_lease, watched_unlease
    desk = Desk(side, server, store=store)

    async def program() -> None:
        await desk.ask()
        await desk.stream(seed=1)
        await desk.embed("one", "two")

    desk.run(program)
    assert taken == []
