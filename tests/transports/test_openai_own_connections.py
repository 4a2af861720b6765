"""The connections of a transport of its own: made late, kept where they belong, closed with the stack."""

# ruff: noqa: SLF001 -- what is open is the transport's private matter

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import Any

import httpx2
import openai
import pytest
import trio

import llmstack
from llmstack import Stack
from llmstack.errors import UnsupportedError
from llmstack.testing import LocalServer
from llmstack.transports import OpenAITransport
from tests.clients.differential import KEY
from tests.transports.own_rig import OUTER, WAYS, aclient_of, chat, client_of, to_azure, to_openai


async def asked(client: llmstack.AsyncOpenAI, text: str = "Hi") -> str | None:
    return (await client.chat.completions.create(**chat(text))).choices[0].message.content


def all_closed(server: LocalServer) -> None:
    server.wait_for(lambda server: server.open_connections == 0)


def test_clients_of_both_kinds_share_a_transport() -> None:
    """Each kind has its connections; both are closed with the stack."""
    with LocalServer() as server:
        with Stack([], transport=to_openai(server)) as stack:

            async def main() -> None:
                async with llmstack.AsyncOpenAI(stack=stack, **OUTER) as client:
                    assert await asked(client) == "You said: Hi"

            for _ in range(2):
                with llmstack.OpenAI(stack=stack, **OUTER) as client:
                    client.chat.completions.create(**chat())
            asyncio.run(main())
            assert server.open_connections >= 1  # a client that is closed leaves the transport's open
        all_closed(server)
        assert len({request.connection for request in server.requests}) == 2


@WAYS
def test_many_event_loops(way: Any) -> None:
    """In turn, asyncio and trio; each loop's connections end with it."""
    with LocalServer() as server, Stack([], transport=way(server)) as stack:
        client = llmstack.AsyncOpenAI(stack=stack, **OUTER)
        for number in range(3):
            assert asyncio.run(asked(client, str(number))) == f"You said: {number}"
            assert trio.run(asked, client, str(number)) == f"You said: {number}"
        all_closed(server)
        assert len({request.connection for request in server.requests}) == 6
        asyncio.run(client.close())


def test_event_loops_at_once() -> None:
    """Four threads with a loop each, streams included: everyone gets its own answers."""
    said: dict[str, list[str | None]] = {}
    with LocalServer() as server, Stack([], transport=to_azure(server)) as stack:
        client = llmstack.AsyncOpenAI(stack=stack, **OUTER)
        together = threading.Barrier(4)

        async def main(name: str) -> None:
            answers = list(await asyncio.gather(*(asked(client, f"{name}.{i}") for i in range(5))))
            stream = await client.chat.completions.create(**chat(name, stream=True))
            answers.append("".join([c.choices[0].delta.content or "" async for c in stream if c.choices]))
            said[name] = answers

        def run(name: str) -> None:
            together.wait(10)
            asyncio.run(main(name))

        threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        all_closed(server)
        asyncio.run(client.close())
    assert said == {n: [*(f"You said: {n}.{i}" for i in range(5)), f"You said: {n}"] for n in "abcd"}


def test_threads_share_the_connections_of_the_process() -> None:
    """Eight at once, from the first call on."""
    with LocalServer() as server, client_of(to_openai(server)) as client, client.stack:
        together, said = threading.Barrier(8), []

        def run(number: int) -> None:
            together.wait(10)
            said.append(client.chat.completions.create(**chat(str(number))).choices[0].message.content)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(said) == [f"You said: {number}" for number in range(8)]
        gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_has_connections_of_its_own() -> None:
    """The parent's goes on as it was."""
    with LocalServer() as server, client_of(to_openai(server)) as client, client.stack:
        client.chat.completions.create(**chat("before"))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                answer = client.chat.completions.create(**chat("child")).choices[0].message.content
                client.stack.close()
                code = 0 if answer == "You said: child" else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.chat.completions.create(**chat("after"))
        before, of_child, after = server.requests
    assert before.connection == after.connection != of_child.connection


def test_nothing_is_opened_before_the_first_call() -> None:
    """A transport that is made and never used costs nothing, and closes."""
    transport = OpenAITransport(base_url="http://outer.invalid", api_key=KEY)
    assert transport._own is not None
    assert transport._own._opened == {}
    transport.close()
    transport.close()
    asyncio.run(transport.aclose())


@WAYS
def test_a_closed_transport_says_so(way: Any) -> None:
    """Also if it was never open."""
    with LocalServer() as server:
        used, fresh = way(server), way(server)
        with client_of(used) as client:
            client.models.list()
            client.stack.close()
            with pytest.raises(UnsupportedError, match=r"the transport to 127\.0\.0\.1 has been closed"):
                client.models.list()
        fresh.close()
        with client_of(fresh) as client, pytest.raises(UnsupportedError, match="has been closed"):
            client.models.list()
        all_closed(server)


async def test_closing_in_an_event_loop() -> None:
    """By `aclose`, at once; by `close`, as soon as the loop comes to it."""
    with LocalServer() as server:
        client = aclient_of(to_openai(server))
        await asked(client)
        await client.stack.aclose()
        all_closed(server)
        client = aclient_of(to_azure(server))
        await asked(client)
        client.stack.close()
        while server.open_connections:
            await asyncio.sleep(0.01) if _on_asyncio() else await trio.sleep(0.01)


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_a_dropped_transport_closes_its_connections() -> None:
    """No warning is left behind."""
    with LocalServer() as server:
        client = client_of(to_openai(server))
        client.models.list()
        del client
        gc.collect()
        all_closed(server)


# HTTP clients of the program's own ---------------------------------------------------------------------------------


async def test_an_http_client_is_used_and_left_open() -> None:
    """For each kind of call its own."""
    with LocalServer() as server:
        async with httpx2.AsyncClient(headers={"x-pool": "async"}) as pool:
            with httpx2.Client(headers={"x-pool": "sync"}) as sync_pool:
                own = to_openai(server, http_client=sync_pool, async_http_client=pool)
                client_of(own).models.list()
                await aclient_of(own).models.list()
                own.close()
                assert not sync_pool.is_closed
                assert not pool.is_closed
    assert [request.headers["x-pool"] for request in server.requests] == ["sync", "async"]


async def test_calls_of_the_other_kind_do_not_go_past_an_http_client() -> None:
    """It may be there for a proxy, or a certificate."""
    with LocalServer() as server, httpx2.Client() as pool:
        own = to_openai(server, http_client=pool)
        with pytest.raises(UnsupportedError, match="Give it an async_http_client, too"):
            await aclient_of(own).models.list()
        assert server.count() == 0


# Streams -----------------------------------------------------------------------------------------------------------


@WAYS
async def test_a_stream_left_early_gives_its_connection_back(way: Any) -> None:
    """Sync and async."""
    with LocalServer() as server:
        own = way(server)
        with client_of(own).chat.completions.create(**chat("word " * 200, stream=True)) as stream:
            next(iter(stream))
        aclient = aclient_of(own)
        async with await aclient.chat.completions.create(**chat("word " * 200, stream=True)) as astream:
            async for _ in astream:
                break
        await own.aclose()
        all_closed(server)


def test_a_deadline_is_kept_against_a_server_that_drips() -> None:
    """The transport's own connections obey it, too."""
    with LocalServer() as server, client_of(to_openai(server)) as client, client.stack:
        server.next(fault="drip", part="body", interval=0.02, times=None)
        with llmstack.options(deadline=0.3), pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**chat("word " * 100))
