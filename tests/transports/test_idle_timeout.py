"""How long a stream may be silent: over every kind of connection, and for the call alone that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx2
import openai
import pytest

import llmstack
from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.testing import LocalServer

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}
GIVEN: dict[str, Any] = {"api_key": "sk-test-not-a-key", "max_retries": 0, "stack": Stack([])}


async def hook(_request: httpx2.Request) -> None:
    """What an HTTP client is given to see its requests."""


def over_aiohttp(server: LocalServer) -> AsyncOpenAI:
    pytest.importorskip("aiohttp")
    return AsyncOpenAI(base_url=server.base_url, http="aiohttp", **GIVEN)


def over_its_adapter(server: LocalServer) -> AsyncOpenAI:
    client = over_aiohttp(server)
    client._client.event_hooks = {"request": [hook]}  # noqa: SLF001 - where programs put theirs
    return client


def over_the_sdks_own(server: LocalServer) -> AsyncOpenAI:
    pytest.importorskip("aiohttp")
    return AsyncOpenAI(base_url=server.base_url, http_client=openai.DefaultAioHttpClient(), **GIVEN)


def over_usual_connections(server: LocalServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.base_url, **GIVEN)


@pytest.fixture
def anyio_backend() -> str:
    """aiohttp knows no other."""
    return "asyncio"


@pytest.mark.parametrize("make", [over_usual_connections, over_aiohttp, over_its_adapter, over_the_sdks_own])
@pytest.mark.parametrize("deadline", [None, 600])
async def test_a_silent_stream_ends(
    local_server: LocalServer, make: Callable[[LocalServer], AsyncOpenAI], deadline: float | None
) -> None:
    """Long before the client's time-out."""
    local_server.next(fault="stall", after=2)
    async with make(local_server) as client:
        with anyio.fail_after(10), llmstack.options(idle_timeout=0.2, deadline=deadline):
            stream = await client.chat.completions.create(**ASK, stream=True)
            with pytest.raises(openai.APITimeoutError):
                [chunk async for chunk in stream]


@pytest.mark.parametrize("given", [None, httpx2.Client], ids=["our connections", "connections of its own"])
def test_other_calls_of_the_client_keep_its_time_out(
    local_server: LocalServer, given: Callable[[], httpx2.Client] | None
) -> None:
    """What a stream may be silent for says nothing of an answer that is being thought over."""
    seen: list[Any] = []
    with OpenAI(base_url=local_server.base_url, http_client=given and given(), timeout=20, **GIVEN) as client:
        # Seen by a hook, requests go through the HTTP client.
        client._client.event_hooks = {"request": [lambda request: seen.append(request.extensions["timeout"]["read"])]}  # noqa: SLF001 - as above
        with llmstack.options(idle_timeout=0.2):
            assert list(client.chat.completions.create(**ASK, stream=True))
        client.chat.completions.create(**ASK)
    assert seen == [20, 20]
