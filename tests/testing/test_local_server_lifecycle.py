"""Starting and stopping, many clients, several event loops, the command line."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from llmstack.testing import server as command
from llmstack.testing.local_server import LocalServer

MODEL = "gpt-5-mini"
KEY = "sk-test-not-a-key"


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@pytest.fixture(autouse=True)
def others() -> Iterator[None]:
    """Servers of other tests, with a longer life, may be running."""
    _others.update(running())
    yield
    _others.clear()


_others: set[str] = set()


def running() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("local-server")}


def threads() -> set[str]:
    return running() - _others


def test_nothing_is_left_after_the_stop() -> None:
    """No thread, no connection, no port, even with answers held."""
    with LocalServer() as server, OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        assert threads() == {f"local-server-{server.port}"}
        client.models.list()
        server.next(fault="hang", path="/models")
        gate = server.gate(after=1, path="/completions")
        chunks = client.chat.completions.create(model=MODEL, messages=user("Hi"), stream=True)
        gate.wait_reached()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.models.list)
            server.wait_for(lambda s: s.count("/models") == 2)
            server.stop()
            with pytest.raises(openai.APIConnectionError):
                asked.result(20)
        with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
            list(chunks)
        gate.release()
        assert threads() == set()
        assert (server.open_connections, server.disconnects) == (0, 0)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
    assert server.count() == 3


def test_a_stopped_server_starts_again_where_it_was() -> None:
    """So that a client can find it gone, and back."""
    server = LocalServer()
    with pytest.raises(RuntimeError):
        _ = server.base_url
    assert server.port == 0
    server.start()
    with pytest.raises(RuntimeError):
        server.start()
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        client.models.list()
        server.stop()
        server.stop()
        with pytest.raises(openai.APIConnectionError):
            client.models.list()
        with server:
            client.models.list()
    assert server.count() == 2
    assert repr(server) == f"<LocalServer 127.0.0.1:{server.port} stopped>"


def test_a_port_in_use_is_the_callers_error() -> None:
    """Raised by ``start``, not lost in a thread."""
    with LocalServer() as server, pytest.raises(OSError, match="in use"):
        LocalServer(port=server.port).start()
    assert threads() == set()


def test_many_servers_at_once() -> None:
    """Each with a record of its own."""
    servers = [LocalServer() for _ in range(20)]
    for server in servers:
        server.start()
    for number, server in enumerate(servers):
        with OpenAI(base_url=server.base_url, api_key=KEY) as client:
            for _ in range(number % 3):
                client.models.list()
    for server in servers:
        server.stop()
    assert [server.count() for server in servers] == [number % 3 for number in range(20)]


# on trio the SDK leaves the generators of a finished stream to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_both_event_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio and trio, in documents and streams."""
    # the SDK looks up its platform in a thread, which trio would keep for ten seconds
    monkeypatch.setattr("trio._core._thread_cache.IDLE_TIMEOUT", 0.01)
    with LocalServer() as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
            completion = await client.chat.completions.create(model=MODEL, messages=user("Hi"))
            assert completion.choices[0].message.content == "You said: Hi"
            stream = await client.chat.completions.create(model=MODEL, messages=user("Hi"), stream=True)
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "You said: Hi"
            async with client.responses.stream(model=MODEL, input="Hi") as events:
                assert (await events.get_final_response()).output_text == "You said: Hi"
            assert [file.id async for file in client.files.list()] == []
        server.wait_for(lambda s: s.open_connections == 0)


def test_many_connections_at_once() -> None:
    """A hundred held together, each answered with its own text."""

    async def ask_all(server: LocalServer) -> list[str | None]:
        gate = server.gate(times=None)
        async with AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
            calls = [client.chat.completions.create(model=MODEL, messages=user(str(i))) for i in range(100)]
            answers = asyncio.gather(*calls)
            await asyncio.to_thread(server.wait_for, lambda s: s.open_connections == s.count() == 100)
            gate.release()
            return [answer.choices[0].message.content for answer in await answers]

    with LocalServer() as server:
        assert asyncio.run(ask_all(server)) == [f"You said: {i}" for i in range(100)]
        server.wait_for(lambda s: s.open_connections == 0)


def test_many_threads_at_once() -> None:
    """Ids and answers are never mixed up."""
    with LocalServer() as server, OpenAI(base_url=server.base_url, api_key=KEY) as client:

        def ask(number: int) -> tuple[str, str | None]:
            completion = client.chat.completions.create(model=MODEL, messages=user(str(number)))
            return completion.id, completion.choices[0].message.content

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(64)))
    assert [content for _, content in answers] == [f"You said: {number}" for number in range(64)]
    assert len({completion_id for completion_id, _ in answers}) == 64


def test_a_request_broken_off_is_forgotten() -> None:
    """A client that leaves before it has said all; one that speaks no HTTP."""
    with LocalServer() as server:
        for sent in (b"POST /v1/models HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", b"\x16\x03\x01"):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                server.wait_for(lambda s: s.open_connections == 1)
                connection.sendall(sent)
            server.wait_for(lambda s: s.open_connections == 0)
        assert server.count() == 0


def test_a_stop_while_clients_connect() -> None:
    """Those accepted too late to be served are closed all the same."""
    for number in range(20):
        with LocalServer() as server:
            connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(number)]
        for connection in connections:
            connection.close()
        assert server.open_connections == 0


def test_the_command_says_where_it_listens(capsys: pytest.CaptureFixture[str]) -> None:
    """And how a client gets there."""
    ended = threading.Event()
    ended.set()
    command.main(["--port", "0"], until=ended)
    said = capsys.readouterr().out
    assert "OpenAI(base_url=" in said
    assert "AzureOpenAI(azure_endpoint=" in said
    assert threads() == set()


def test_the_command_runs_alone() -> None:
    """As a module, until its process is ended."""
    arguments = [sys.executable, "-u", "-m", "llmstack.testing.server", "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().split()[-1]
            with OpenAI(base_url=base_url, api_key=KEY) as client:
                assert client.models.list().data
        finally:
            process.terminate()


def test_without_uvicorn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing the module needs nothing; making a server does."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "uvicorn" or name.startswith("llmstack.testing._server.appl"):
            monkeypatch.delitem(sys.modules, name)
    for name in ("connection", "delivery", "thread"):
        monkeypatch.delitem(sys.modules, f"llmstack.testing._server.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r"llmstack-openai\[testing\]"):
        LocalServer()
