"""Borrowed connections where something comes in between: they are closed, and never with the wrong call."""

# ruff: noqa: SLF001 -- nothing public tells which connections there are

from __future__ import annotations

import contextlib
import gc
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx2
import openai
import pytest
import trustme

from llmstack import AsyncOpenAI, Call, Flow, Next, OpenAI, Reply, Stack, hookimpl
from llmstack.testing import LocalServer
from llmstack.transports import lean
from tests.clients.raw_server import Said, raw_server
from tests.clients.test_equal_connections import PLAIN, STREAM, translates
from tests.transports.pools import KEY, MESSAGES, ask, pool, states


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A server of its own for each test."""
    with LocalServer() as server:
        yield server


class Destroyed:
    """Awaits a coroutine up to a suspension, and destroys it there, as a loop does that ends before its tasks."""

    def __init__(self, coroutine: Any, at: int) -> None:
        self._coroutine, self._at = coroutine, at
        self.reached = False

    def __await__(self) -> Generator[Any, Any, None]:
        value: Any = None
        with contextlib.suppress(StopIteration, openai.OpenAIError):
            for _ in range(self._at - 1):
                value = yield self._coroutine.send(value)
            self._coroutine.send(value)
            self.reached = True
        self._coroutine.close()


async def read(client: AsyncOpenAI, streamed: bool) -> None:  # noqa: FBT001
    answer = await ask(client, stream=streamed)
    if streamed:
        assert [chunk async for chunk in answer]


async def settled(client: AsyncOpenAI) -> None:
    """A stream that was dropped is closed soon."""
    with anyio.fail_after(5):
        while not set(states(client)) <= {"IDLE"}:  # noqa: ASYNC110 - nothing tells
            await anyio.sleep(0.005)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("streamed", [False, pytest.param(True, marks=translates)], ids=["whole", "stream"])
async def test_a_destroyed_coroutine_closes_its_connection(streamed: bool) -> None:  # noqa: FBT001
    """Nobody can wait for that: the pool must not forget a connection that is open still. (Trio has no such thing.)"""
    pieces = [STREAM[at : at + 100] for at in range(0, len(STREAM), 100)] if streamed else [PLAIN[:60], PLAIN[60:]]
    at, reached = 0, True
    while reached:
        at += 1
        with raw_server(Said((PLAIN,)), Said(tuple(pieces), pause=0.002)) as server:
            async with AsyncOpenAI(base_url=server.url, api_key=KEY, stack=Stack([]), max_retries=0) as client:
                await ask(client)  # a connection that is being opened is its library's to close
                destroyed = Destroyed(read(client, streamed), at)
                await destroyed
                reached = destroyed.reached
                del destroyed
                gc.collect()  # an unclosed socket complains
                await settled(client)
                assert pool(client)._requests == []
    assert at > 3


def test_a_client_that_is_closed_while_a_connection_is_in_use_leaves_none_open(server: LocalServer) -> None:
    """The pool closes it; what is given back to a closed pool is closed."""
    client = OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([]), max_retries=0)
    ask(client)
    line = lean.borrowed(pool(client), client._client._transport.llmstack_spare, pool(client).connections[0]._origin)  # type: ignore[attr-defined]
    assert line is not None
    client.close()
    for effect in line.give_back():
        effect.sync_fn()  # type: ignore[attr-defined]
    assert line.http11.is_closed()
    assert line.stream.get_extra_info("socket").fileno() == -1


def test_threads_that_open_connections_keep_to_the_limit(server: LocalServer, client: OpenAI) -> None:
    """Those that are being opened count."""
    pool(client)._max_connections = 2
    most: list[int] = []

    def talk(i: int) -> None:
        most.append(len(pool(client).connections))
        list(ask(client, stream=True, timeout=10)) if i % 2 else ask(client, timeout=10)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(talk, range(48)))
    assert max(most) <= 2
    assert pool(client)._requests == []


async def test_tasks_that_open_connections_keep_to_the_limit(server: LocalServer) -> None:
    """The same."""
    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([]), timeout=10) as client:
        pool(client)._max_connections = 2
        most: list[int] = []

        async def talk(i: int) -> None:
            if i % 2:
                assert [chunk async for chunk in await ask(client, stream=True)]
            else:
                await ask(client)
            most.append(len(pool(client).connections))

        async with anyio.create_task_group() as group:
            for i in range(24):
                group.start_soon(talk, i)
        assert max(most) <= 2
        assert pool(client)._requests == []


def test_connections_that_have_expired_are_closed_while_another_is_used(client: OpenAI) -> None:
    """Nobody asks for them any more: after a burst they would stay open for ever."""
    streams = [ask(client, stream=True) for _ in range(4)]
    for stream in streams:
        list(stream)
    burst = pool(client).connections
    assert len(burst) == 4
    for connection in burst[:3]:
        connection._connection._expire_at = 0.0
    client._client._transport.llmstack_spare.swept = 0.0  # type: ignore[attr-defined]
    ask(client)
    assert states(client) == ["IDLE"]
    assert all(connection._connection.is_closed() for connection in burst[:3])


def test_taking_the_last_one_is_no_race(client: OpenAI) -> None:
    """Another thread takes it between the look and the grasp."""
    ask(client)
    spare = client._client._transport.llmstack_spare  # type: ignore[attr-defined]

    class Fleeting(list[Any]):
        def __bool__(self) -> bool:
            return True

    spare.connections = Fleeting()
    origin = pool(client).connections[0]._origin
    line = lean.borrowed(pool(client), spare, origin)
    assert line is not None
    assert lean.borrowed(pool(client), spare, origin) is None
    for effect in line.drop():
        effect.sync_fn()  # type: ignore[attr-defined]


def patched(name: str, part: Callable[[Any], Any]) -> Callable[[Any, list[Any]], None]:
    def patch(client: Any, called: list[Any]) -> None:
        original = getattr(part(client), name)

        def traced(*args: Any, **how: Any) -> Any:
            called.append(args)
            return original(*args, **how)

        setattr(part(client), name, traced)

    return patch


ON_OBJECTS = {
    "client.send": patched("send", lambda client: client._client),
    "client.build_request": patched("build_request", lambda client: client._client),
    "transport.handle_request": patched("handle_request", lambda client: client._client._transport),
    "pool.handle_request": patched("handle_request", pool),
}


@pytest.mark.parametrize("what", ON_OBJECTS)
def test_what_somebody_has_put_on_an_object_is_called(client: OpenAI, what: str) -> None:
    """As programs do that trace one client only."""
    ask(client)
    called: list[Any] = []
    ON_OBJECTS[what](client, called)
    ask(client)
    list(ask(client, stream=True))
    assert len(called) == 2


def test_requests_with_something_to_them_are_the_librarys(client: OpenAI, server: LocalServer) -> None:
    """Its tracing, another target, another method, a body that comes bit by bit, no time-out."""
    ask(client)
    http, traced = client._client, list[str]()
    url = f"{server.base_url}/chat/completions"
    sent: dict[str, Any] = {"json": {"model": "m", "messages": MESSAGES}, "headers": {"authorization": f"Bearer {KEY}"}}
    extensions: dict[str, Any] = {"trace": lambda name, _info: traced.append(name)}
    assert http.post(url, **sent, extensions=extensions).status_code == 200
    assert "http11.send_request_body.complete" in traced
    elsewhere: dict[str, Any] = {"target": b"/v1/models"}
    assert http.post(url, **sent, extensions=elsewhere).status_code == 405
    assert http.request("HEAD", url, content=b"x").content == b""
    assert http.post(url, content=iter([b"{", b"}"])).status_code in (400, 401)
    assert http.send(httpx2.Request("POST", url, **sent)).status_code == 200
    assert set(states(client)) == {"IDLE"}


def test_a_header_or_path_cannot_carry_another_request(client: OpenAI, server: LocalServer) -> None:
    """Line ends are refused, on a new connection and a kept one, by the same error."""
    evil = "a\r\nx-evil: 1\r\n\r\nPOST /v1/evil HTTP/1.1\r\n"
    for _ in range(2):
        for more in ({"extra_headers": {"x-a": evil}}, {"extra_headers": {evil: "x"}}):
            with pytest.raises(openai.APIConnectionError) as failed:
                ask(client, **more)
            assert isinstance(failed.value.__cause__, httpx2.LocalProtocolError)
        ask(client)
    with pytest.raises(httpx2.InvalidURL):
        client.post("/chat/completions\r\nx: y", cast_to=object, body={})
    assert all("x-evil" not in request.headers for request in server.requests)


def test_what_is_equal_but_written_otherwise_is_written_so(client: OpenAI, server: LocalServer) -> None:
    """1 and 1.0, and what is changed in place."""
    for timeout in (7, 7.0, True):
        ask(client, timeout=timeout)
    client.timeout = changed = httpx2.Timeout(8.0)
    ask(client)
    changed.read = 9.0
    ask(client)
    values = [1]
    client._custom_query = {"a": values}
    ask(client)
    values[0] = True
    ask(client)
    sent = [request.headers["x-stainless-read-timeout"] for request in server.requests]
    assert sent[:5] == ["7", "7.0", "True", "8.0", "9.0"]


def test_the_time_that_it_took_is_not_that_until_somebody_looks(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`elapsed` is of the request."""
    natives: list[Any] = []

    class Keep:
        @hookimpl
        def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
            reply = yield from next(call)
            natives.append(reply.native)
            return reply

    now = [100.0]
    with OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([Keep()])) as client:
        ask(client)
        monkeypatch.setattr(time, "perf_counter", lambda: now[0])
        ask(client)
        now[0] = 200.0
    assert natives[1].elapsed.total_seconds() == 0


@pytest.fixture
def encrypted() -> Iterator[tuple[Any, ssl.SSLContext]]:
    """A server that speaks TLS, and what trusts it."""
    authority, theirs = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    with raw_server(Said((PLAIN,)), Said((STREAM,)), Said((PLAIN,)), Said((PLAIN,), "close"), tls=theirs) as server:
        yield server, ours


async def test_connections_with_tls_are_borrowed_too(encrypted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the program's trust; and one that the server has closed is not used again."""
    server, trust = encrypted
    monkeypatch.setattr(httpx2, "create_ssl_context", lambda *_, **__: trust)
    url = server.url.replace("http:", "https:")
    async with AsyncOpenAI(base_url=url, api_key=KEY, stack=Stack([]), max_retries=0, timeout=5) as client:
        assert (await ask(client)).choices
        assert len([chunk async for chunk in await ask(client, stream=True)]) == 3
        assert (await ask(client)).choices
        assert states(client) == ["IDLE"]
        assert server.accepted == 1
        assert (await ask(client)).choices
        with anyio.fail_after(5):
            while not all(connection.has_expired() for connection in pool(client).connections):  # noqa: ASYNC110
                await anyio.sleep(0.001)  # until it is known that the server has closed it
        assert (await ask(client)).choices
        assert server.accepted >= 2
