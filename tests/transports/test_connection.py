"""Connections stay in the process and the event loop that opened them."""

# ruff: noqa: SLF001 -- the HTTP client is the SDK's private matter

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
import trio

import llmstack
from llmstack import Stack
from llmstack.testing import LocalServer

KEY = "sk-test-not-a-key"


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


def sync_client(server: LocalServer, **options: Any) -> llmstack.OpenAI:
    return llmstack.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0, stack=Stack([]), **options)


def async_client(server: LocalServer, **options: Any) -> llmstack.AsyncOpenAI:
    return llmstack.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0, stack=Stack([]), **options)


def question(text: str) -> Any:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


async def asked(client: llmstack.AsyncOpenAI, text: str = "Hi") -> str | None:
    return (await client.chat.completions.create(**question(text))).choices[0].message.content


# Event loops ---------------------------------------------------------------------------------------------------------


def test_one_client_serves_many_loops_in_turn(server: LocalServer) -> None:
    """``asyncio.run`` again and again; each loop's connection is closed with its loop."""
    client = async_client(server)
    for number in range(5):
        assert asyncio.run(asked(client, str(number))) == f"You said: {number}"
        server.wait_for(lambda server: server.open_connections == 0)
    assert len({request.connection for request in server.requests}) == 5
    asyncio.run(client.close())


def test_a_loop_keeps_its_connection(server: LocalServer) -> None:
    """Inside one loop calls share it, as with the SDK."""

    async def main() -> None:
        async with async_client(server) as client:
            for _ in range(5):
                await asked(client)
            assert server.open_connections == 1

    asyncio.run(main())
    assert len({request.connection for request in server.requests}) == 1


def test_one_client_serves_asyncio_and_trio(server: LocalServer) -> None:
    """In turn, in one program."""
    client = async_client(server)
    for _ in range(2):
        assert asyncio.run(asked(client)) == "You said: Hi"
        assert trio.run(asked, client) == "You said: Hi"
    server.wait_for(lambda server: server.open_connections == 0)
    asyncio.run(client.close())


def test_one_client_serves_several_loops_at_once(server: LocalServer) -> None:
    """Eight threads with a loop each, streams included: everyone gets the answer to its own question."""
    client = async_client(server)
    said: dict[str, list[str | None]] = {}
    together = threading.Barrier(8)

    async def main(name: str) -> None:
        answers = []
        for number in range(10):
            answers += await asyncio.gather(*(asked(client, f"{name}.{number}.{i}") for i in range(3)))
            stream = await client.chat.completions.create(**question(f"{name}.{number}"), stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            answers.append("".join(pieces))
        said[name] = answers

    def work(name: str) -> None:
        together.wait(10)
        asyncio.run(main(name))

    threads = [threading.Thread(target=work, args=(str(name),)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in map(str, range(8)):
        rows = [[f"{name}.{n}.0", f"{name}.{n}.1", f"{name}.{n}.2", f"{name}.{n}"] for n in range(10)]
        assert said[name] == [f"You said: {text}" for row in rows for text in row]
    server.wait_for(lambda server: server.open_connections == 0)
    asyncio.run(client.close())


def test_sync_calls_inside_a_loop_and_beside_it(server: LocalServer) -> None:
    """16 threads of 50 sync calls beside a loop that makes async ones, and sync calls in the loop itself."""
    client, other = sync_client(server), async_client(server)
    wrong: list[Any] = []

    def work(name: int) -> None:
        for number in range(50):
            text = f"{name}.{number}"
            answer = client.chat.completions.create(**question(text)).choices[0].message.content
            if answer != f"You said: {text}":
                wrong.append(answer)

    async def main() -> None:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert await asked(other, "async") == "You said: async"
            assert client.chat.completions.create(**question("inside")).choices[0].message.content == "You said: inside"
        await other.close()

    asyncio.run(main())
    assert wrong == []
    client.close()


def test_copies_share_the_connections(server: LocalServer) -> None:
    """And closing one closes all, as with the SDK."""
    client = async_client(server)
    copied = client.with_options(timeout=9).copy()

    async def main() -> None:
        await asked(client)
        await asked(copied)

    asyncio.run(main())
    asyncio.run(main())
    assert len({request.connection for request in server.requests}) == 2
    asyncio.run(copied.close())
    assert client.is_closed()


def test_closing_ends_the_connections_of_all_loops(server: LocalServer) -> None:
    """At once those of the loop it is called in, soon those of other loops that run."""
    client = async_client(server)
    asked_there, done = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        await asked(client)
        asked_there.set()
        await asyncio.to_thread(done.wait, 10)
        with pytest.raises((RuntimeError, openai.APIConnectionError)):  # early SDKs wrap whatever sending raises
            await client.models.retrieve("m")

    async def here() -> None:
        await asked(client)
        assert asked_there.wait(10)
        assert server.open_connections == 2
        await client.close()
        server.wait_for(lambda server: server.open_connections == 0)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    try:
        asyncio.run(here())
    finally:
        done.set()
        thread.join()
    assert client.is_closed()


def test_a_loop_that_was_only_closed_is_forgotten(server: LocalServer) -> None:
    """By hand, without ``asyncio.run``: its connections cannot be closed any more, but nothing is kept of it."""
    client = async_client(server)
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(asked(client))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    assert len(client._client._pools) == 0  # type: ignore[attr-defined]
    asyncio.run(client.close())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_that_ended_hard_does_not_stop_the_next(server: LocalServer) -> None:
    """Nobody told the client; it goes on with the next loop."""
    client = async_client(server)
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(asked(client))
        loop.close()
        assert len(client._client._pools) == 1  # type: ignore[attr-defined]
    asyncio.run(client.close())
    assert client.is_closed()
    del client
    gc.collect()


def test_a_stream_belongs_to_its_loop(server: LocalServer) -> None:
    """It may be left open there: the loop's end closes it."""
    client = async_client(server)

    async def main() -> None:
        stream = await client.chat.completions.create(**question("Hi"), stream=True)
        await stream.__anext__()

    for _ in range(3):
        asyncio.run(main())
        server.wait_for(lambda server: server.open_connections == 0)
    asyncio.run(client.close())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_dropped_client_closes(server: LocalServer) -> None:
    """Without ``close``, sync and async; the garbage collector may be first, as with the SDK's."""
    client = sync_client(server)
    client.models.retrieve("m")
    del client
    gc.collect()
    server.wait_for(lambda server: server.open_connections == 0)

    async def main() -> None:
        other = async_client(server)
        await asked(other)
        del other
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)
        server.wait_for(lambda server: server.open_connections == 0)

    asyncio.run(main())


# What every pool has of the client -----------------------------------------------------------------------------------


def test_hooks_hold_in_every_loop(server: LocalServer) -> None:
    """Azure has one that keeps its key from redirects; a program may add more at any time."""
    seen: list[str] = []

    async def hook(request: httpx2.Request) -> None:
        seen.append(request.url.path)

    client = llmstack.AsyncAzureOpenAI(
        azure_endpoint=server.azure_endpoint, api_version="2024-10-21", api_key=KEY, stack=Stack([])
    )
    client._client.event_hooks["request"].append(hook)
    asyncio.run(asked(client))
    asyncio.run(asked(client))
    client._client.event_hooks["request"].remove(hook)
    asyncio.run(asked(client))
    assert len(seen) == 2
    asyncio.run(client.close())


def test_azures_key_stays_at_home_in_every_loop(server: LocalServer) -> None:
    """A redirect to another host does not carry it, in the second loop neither."""
    with LocalServer() as other:
        client = llmstack.AsyncAzureOpenAI(
            azure_endpoint=server.azure_endpoint, api_version="2024-10-21", api_key=KEY, stack=Stack([])
        )
        if not client._client.event_hooks["request"]:
            pytest.skip("this SDK has no such hook")

        async def main() -> None:
            where = other.azure_endpoint.replace("127.0.0.1", "localhost")
            server.next(307, headers={"location": f"{where}/openai/models"}, body={})
            with pytest.raises(openai.APIStatusError):
                await client.models.list()

        asyncio.run(main())
        asyncio.run(main())
        assert [request.headers.get("api-key") for request in other.requests] == [None, None]
        asyncio.run(client.close())


def test_cookies_hold_in_every_loop(server: LocalServer) -> None:
    """The client has one jar."""
    client = async_client(server)
    server.next(200, body={"id": "m"}, headers={"set-cookie": "a=first; Path=/"})
    asyncio.run(client.models.retrieve("m"))  # type: ignore[arg-type]
    server.next(200, body={"id": "m"}, headers={"set-cookie": "b=second; Path=/"})
    asyncio.run(client.models.retrieve("m"))  # type: ignore[arg-type]
    asyncio.run(client.models.retrieve("m"))  # type: ignore[arg-type]
    assert [request.headers.get("cookie") for request in server.requests] == [None, "a=first", "a=first; b=second"]
    asyncio.run(client.close())


def test_proxies_of_the_environment_hold_in_every_loop(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the SDK's client."""
    monkeypatch.setenv("HTTP_PROXY", server.azure_endpoint)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    client = llmstack.AsyncOpenAI(base_url="http://far.invalid/v1", api_key=KEY, max_retries=0, stack=Stack([]))
    for _ in range(2):
        with pytest.raises(openai.APIStatusError):
            asyncio.run(asked(client))
    assert server.count() == 2
    assert [request.headers["host"] for request in server.requests] == ["far.invalid"] * 2
    asyncio.run(client.close())


# Processes -----------------------------------------------------------------------------------------------------------

FORKED = """
import asyncio, os, sys, traceback
from openai import APIConnectionError
from llmstack import AsyncOpenAI, OpenAI, Stack

def question(text):
    return {"model": "m", "messages": [{"role": "user", "content": text}]}

def check(name, answer, text):
    assert answer.choices[0].message.content == f"You said: {text}", (name, text, answer)

where = {"base_url": sys.argv[1], "api_key": "sk-test-not-a-key", "max_retries": 0, "stack": Stack([])}
client, aclient = OpenAI(**where), AsyncOpenAI(**where)
"""


def forked(server: LocalServer, program: str) -> None:
    """Run a program that forks, in a process of its own."""
    subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", FORKED + program, server.base_url],
        check=True,
        timeout=60,
    )


pytest_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest_fork
def test_a_child_has_connections_of_its_own(server: LocalServer) -> None:
    """After the client was used: parent and children talk at once, and no answer ever crosses."""
    forked(
        server,
        """
def work(name):
    for number in range(50):
        text = f"{name}.{number}"
        check(name, client.chat.completions.create(**question(text)), text)
        stream = client.chat.completions.create(stream=True, **question(text))
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
        assert "".join(pieces) == f"You said: {text}"

check("before", client.chat.completions.create(**question("before")), "before")
children = []
for child in range(4):
    pid = os.fork()
    if not pid:
        try:
            work(child)
            client.close()
            assert client.is_closed()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(pid)
work("parent")
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
check("after", client.chat.completions.create(**question("after")), "after")
client.close()
""",
    )
    users = {}
    for request in server.requests:
        name = request.json["messages"][0]["content"].partition(".")[0]
        users.setdefault("parent" if name in {"before", "after"} else name, set()).add(request.connection)
    assert len(users) == 5
    assert sum(map(len, users.values())) == len(set.union(*users.values()))


@pytest_fork
def test_an_async_child_has_connections_of_its_own(server: LocalServer) -> None:
    """Forked between two loops, and inside a running one."""
    forked(
        server,
        """
async def work(name):
    for number in range(20):
        texts = [f"{name}.{number}.{i}" for i in range(3)]
        answers = await asyncio.gather(*(aclient.chat.completions.create(**question(text)) for text in texts))
        for text, answer in zip(texts, answers):
            check(name, answer, text)

def child(name):
    pid = os.fork()
    if not pid:
        try:
            asyncio.run(work(name))
            asyncio.run(aclient.close())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid

async def parent():
    await work("parent")
    pids = [child("one"), child("two")]
    await work("parent")
    return pids

pids = [*asyncio.run(parent()), child("three")]
asyncio.run(work("parent"))
assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
asyncio.run(work("parent"))
asyncio.run(aclient.close())
""",
    )
    users: dict[str, set[int]] = {}
    for request in server.requests:
        name = request.json["messages"][0]["content"].partition(".")[0]
        users.setdefault(name, set()).add(request.connection)
    assert set(users) == {"parent", "one", "two", "three"}
    assert sum(map(len, users.values())) == len(set.union(*users.values()))


@pytest_fork
def test_a_child_of_a_closed_client_has_a_closed_one(server: LocalServer) -> None:
    """And closing it in the child leaves the parent's open."""
    forked(
        server,
        """
check("before", client.chat.completions.create(**question("before")), "before")
pid = os.fork()
if not pid:
    client.close()
    try:
        client.models.retrieve("m")
    except (RuntimeError, APIConnectionError) as error:
        os._exit(0 if "closed" in str(error.__cause__ or error) else 2)
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
assert not client.is_closed()
check("after", client.chat.completions.create(**question("after")), "after")
client.close()
pid = os.fork()
if not pid:
    try:
        client.models.retrieve("m")
    except (RuntimeError, APIConnectionError):
        os._exit(0 if client.is_closed() else 2)
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
""",
    )
    chats = [request.connection for request in server.requests if request.path.endswith("completions")]
    assert len(chats) == 2
    assert len(set(chats)) == 1
