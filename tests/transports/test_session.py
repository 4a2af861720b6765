"""Sessions of aiohttp that are asked directly: whose they are, and that nothing is left of a call."""

# ruff: noqa: SLF001 -- nothing public tells which connections there are

from __future__ import annotations

import gc
from typing import Any

import anyio
import anyio.lowlevel
import openai
import pytest

from llmstack import AsyncOpenAI, Stack
from llmstack.testing import LocalServer
from llmstack.transports import swift
from tests.clients.raw_server import RawServer, Said, raw_server
from tests.clients.test_equal_connections import CHUNKED, PLAIN, SSE, STREAM, chunks, head

pytest.importorskip("aiohttp")
KEY = "sk-test-not-a-key"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Say hello"}]}
STUCK = Said((STREAM[: STREAM.index(b'"h"') + 50],))
"""A stream that stops after its first content, and stays open."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The sessions that were asked directly."""
    sessions: list[Any] = []
    original = swift.over_session

    def over_session(session: Any, *args: Any) -> Any:
        sessions.append(session)
        return original(session, *args)

    monkeypatch.setattr(swift, "over_session", over_session)
    return sessions


def client_of(server: RawServer | LocalServer, **more: Any) -> AsyncOpenAI:
    url = server.url if isinstance(server, RawServer) else server.base_url
    given: dict[str, Any] = {"stack": Stack([]), "max_retries": 0, **more}
    return AsyncOpenAI(base_url=url, api_key=KEY, http="aiohttp", **given)


def taken(client: AsyncOpenAI) -> int:
    """Connections that are in use."""
    transport: Any = client._client._transport
    return len(transport.client.connector._acquired)


async def until_none_is_taken(client: AsyncOpenAI) -> None:
    with anyio.fail_after(5):
        while taken(client):  # noqa: ASYNC110 - aiohttp tells nobody
            await anyio.sleep(0.01)


async def test_calls_and_streams_share_a_connection(asked: list[Any]) -> None:
    """It is given back at the end of each."""
    with raw_server(Said((PLAIN,)), Said((STREAM,)), Said((PLAIN,)), Said((STREAM,))) as server:
        async with client_of(server) as client:
            for _ in range(2):
                assert (await client.chat.completions.create(**ASK)).choices[0].message.content == "hi"
                stream = await client.chat.completions.create(**ASK, stream=True)
                assert len([chunk async for chunk in stream]) == 3
            assert taken(client) == 0
        assert server.accepted == 1
    assert len(asked) == 4


async def test_a_stream_that_is_left_in_the_middle_costs_its_connection() -> None:
    """Closed by hand, by a block, or dropped."""
    with raw_server(STUCK) as server:
        async with client_of(server) as client:
            stream = await client.chat.completions.create(**ASK, stream=True)
            assert await anext(aiter(stream))
            await stream.close()
            await stream.close()
            assert taken(client) == 0
            async with await client.chat.completions.create(**ASK, stream=True) as stream:
                assert await anext(aiter(stream))
            assert taken(client) == 0
            stream = await client.chat.completions.create(**ASK, stream=True)
            assert await anext(aiter(stream))
            del stream
            gc.collect()
            await until_none_is_taken(client)
        assert server.accepted == 3


@pytest.mark.parametrize(
    "said", [Said(()), Said((PLAIN[:-5],)), STUCK], ids=["before the answer", "within it", "in a stream"]
)
async def test_a_cancelled_call_costs_its_connection(said: Said) -> None:
    """Wherever it is struck."""
    with raw_server(said, Said((PLAIN,))) as server:
        async with client_of(server) as client:
            ended = False
            with anyio.move_on_after(0.2):
                if said is STUCK:
                    async for _ in await client.chat.completions.create(**ASK, stream=True):
                        pass
                else:
                    await client.chat.completions.create(**ASK)
                ended = True
            assert not ended
            await until_none_is_taken(client)
            assert await client.chat.completions.create(**ASK)
        assert server.accepted == 2


async def test_a_silent_server_is_a_time_out() -> None:
    """Before the answer, within it, and between two events."""
    with raw_server(Said(()), Said((PLAIN[:-5],)), STUCK) as server:
        async with client_of(server, timeout=0.2) as client:
            for _ in range(2):
                with pytest.raises(openai.APITimeoutError):
                    await client.chat.completions.create(**ASK)
            with pytest.raises(openai.APITimeoutError):
                async for _ in await client.chat.completions.create(**ASK, stream=True):
                    pass
            await until_none_is_taken(client)


async def test_a_stream_closed_by_another_task_ends() -> None:
    """Who waits for its next event is not left waiting."""
    with raw_server(STUCK) as server:
        async with client_of(server) as client, anyio.create_task_group() as group:
            stream = await client.chat.completions.create(**ASK, stream=True)
            assert [await anext(aiter(stream)) for _ in range(2)]

            async def close() -> None:
                await anyio.lowlevel.checkpoint()
                await stream.response.aclose()

            group.start_soon(close)
            with anyio.fail_after(5):
                assert [chunk async for chunk in stream] == []
            await until_none_is_taken(client)


async def test_the_end_of_a_body_that_does_not_come_is_not_waited_for_long() -> None:
    """After the end marker the rest of the body is read, if it comes soon."""
    events = STREAM.partition(b"\r\n\r\n")[2]
    whole = head(SSE, CHUNKED) + events[: -len(b"0\r\n\r\n")]
    with raw_server(Said((whole,)), Said((PLAIN,))) as server:
        async with client_of(server) as client:
            with anyio.fail_after(5):
                stream = await client.chat.completions.create(**ASK, stream=True)
                assert len([chunk async for chunk in stream]) == 3
            assert taken(client) == 0
            assert await client.chat.completions.create(**ASK)
    assert chunks(b"") == b"0\r\n\r\n"


async def test_what_the_program_puts_around_it_is_asked(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks of the HTTP client, and a method put into the adapter or on it."""
    told: list[str] = []

    async def hook(_: Any) -> None:
        told.append("hook")

    with raw_server(Said((PLAIN,))) as server:
        async with client_of(server) as client:
            http: Any = client._client
            http.event_hooks = {"request": [hook]}
            await client.chat.completions.create(**ASK)
            assert told == ["hook"]
            http.event_hooks = {}
            adapter: Any = type(http._transport).__base__
            original = adapter.handle_async_request

            async def handle(self: Any, request: Any) -> Any:
                told.append("adapter")
                return await original(self, request)

            monkeypatch.setattr(adapter, "handle_async_request", handle)
            await client.chat.completions.create(**ASK)
            monkeypatch.undo()
    assert told[0] == "hook"
    assert asked == []


async def test_an_answer_out_of_the_ordinary_is_the_sdks(asked: list[Any]) -> None:
    """It is asked for once; redirects are followed, cookies kept, failed attempts repeated."""
    moved = head(b"location: /v1/elsewhere\r\ncontent-length: 0\r\n", status=b"307 Temporary Redirect")
    busy = head(b"retry-after-ms: 1\r\ncontent-length: 0\r\n", status=b"503 Busy")
    cookie = PLAIN.replace(b"\r\n", b"\r\nset-cookie: a=b; path=/\r\n", 1)
    with raw_server(Said((moved,)), Said((busy,)), Said((cookie,)), Said((PLAIN,))) as server:
        async with client_of(server, max_retries=2) as client:
            assert await client.chat.completions.create(**ASK)
            assert dict(client._client.cookies) == {"a": "b"}
        assert [request.split(b" ")[1] for request in server.requests] == [
            b"/v1/chat/completions",
            b"/v1/elsewhere",
            b"/v1/chat/completions",
        ]
    assert len(asked) == 1
