"""Deadlines and idle time-outs of calls over aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import anyio
import httpx2
import openai
import pytest

import llmstack
from llmstack.errors import UnsupportedError
from llmstack.testing import LocalServer
from llmstack.transports.deadline import limited
from llmstack.transports.patience import sent_in_time
from tests.clients.raw_server import Said, raw_server
from tests.clients.test_equal_connections import PLAIN
from tests.transports.test_session import ASK, STUCK, client_of, until_none_is_taken

pytest.importorskip("aiohttp")

Ask = Callable[[llmstack.AsyncOpenAI], Awaitable[Any]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def call(client: llmstack.AsyncOpenAI) -> object:
    return await client.chat.completions.create(**ASK)


async def stream(client: llmstack.AsyncOpenAI) -> object:
    return [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]


async def other(client: llmstack.AsyncOpenAI) -> object:
    return await client.models.list()


async def bytewise(client: llmstack.AsyncOpenAI) -> object:
    async with client.chat.completions.with_streaming_response.create(**ASK) as response:
        return [piece async for piece in response.iter_bytes()]


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (call, openai.APITimeoutError),
        (stream, openai.APITimeoutError),
        (other, openai.APITimeoutError),
        (bytewise, (openai.APITimeoutError, httpx2.ReadTimeout)),  # once it has the headers the SDK lets the latter out
    ],
)
@pytest.mark.parametrize("part", ["headers", "body"])
async def test_a_server_that_drips_does_not_outlive_the_deadline(
    ask: Ask, error: Any, part: Literal["headers", "body"]
) -> None:
    """It would take a minute."""
    with LocalServer() as server:
        server.next(fault="drip", part=part, interval=0.5, times=None)
        async with client_of(server) as client:
            with llmstack.options(deadline=0.2), pytest.raises(error):
                await ask(client)
            await until_none_is_taken(client)


@pytest.mark.parametrize("deadline", [None, 60])
async def test_a_stream_may_be_silent_for_its_idle_time_out(deadline: float | None) -> None:
    """The client's own time-out is ten minutes. Calls that begin afterwards are as ever."""
    with raw_server(STUCK, Said((PLAIN,))) as server:
        async with client_of(server) as client:
            with llmstack.options(idle_timeout=0.1, deadline=deadline), pytest.raises(openai.APITimeoutError):
                await stream(client)
            await until_none_is_taken(client)
            assert await call(client)


async def test_a_body_that_is_read_piece_by_piece_may_be_silent_so_long_too() -> None:
    """Under ``with_streaming_response``, where the SDK reads the answer by itself."""
    with raw_server(Said((PLAIN[:-5],))) as server:
        async with client_of(server) as client:
            with llmstack.options(idle_timeout=0.1), pytest.raises(httpx2.ReadTimeout, match="silent for longer"):
                await bytewise(client)
            await until_none_is_taken(client)


async def test_an_answer_in_time_is_an_answer() -> None:
    """With both."""
    with LocalServer() as server:
        async with client_of(server) as client:
            with llmstack.options(deadline=60, idle_timeout=60):
                assert all([await ask(client) for ask in (call, stream, other, bytewise)])


async def test_each_piece_asks_anew_what_is_left() -> None:
    """The time is told by a script: none is left at the third piece, which would come in a minute."""

    class Body(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"
            await anyio.sleep(60)

    async def send(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=Body(), request=request)

    left = iter([60.0] * 5 + [30.0, 20.0, 0.0])
    timeout = limited(None, lambda: next(left))
    request = httpx2.Request("GET", "http://api.example.com/", extensions={"timeout": timeout.as_dict()})
    response = await sent_in_time(send, request)
    pieces = response.aiter_raw()
    assert [await anext(pieces), await anext(pieces)] == [b"one", b"two"]
    with pytest.raises(httpx2.ReadTimeout, match="the deadline of the call has passed"):
        await anext(pieces)
    await response.aclose()


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("ask", [call, stream, other])
async def test_on_trio_it_says_that_it_takes_asyncio(ask: Ask) -> None:
    """Before anything is sent."""
    with LocalServer() as server:
        async with client_of(server) as client:
            with pytest.raises(UnsupportedError, match=r"asyncio only: on trio, leave out http='aiohttp'"):
                await ask(client)
        assert server.count() == 0
