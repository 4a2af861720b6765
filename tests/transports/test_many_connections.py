"""As many connections are kept as were needed at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx2
import openai
import pytest

from llmstack import AsyncOpenAI, OpenAI, Stack
from tests.clients.raw_server import Said, raw_server
from tests.clients.test_equal_connections import PLAIN

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Say hello"}]}
AT_ONCE = (openai.DEFAULT_CONNECTION_LIMITS.max_keepalive_connections or 0) + 20
"""More than the SDK keeps."""
SAID = Said((PLAIN,))


@pytest.mark.parametrize("http", [None, "aiohttp"])
def test_each_call_of_the_next_burst_finds_one(http: Any) -> None:
    """In an async program."""
    if http is not None:
        pytest.importorskip(http)

    async def main() -> list[int]:
        accepted: list[int] = []
        with raw_server(SAID) as server:
            server.together = Barrier(AT_ONCE)
            async with AsyncOpenAI(base_url=server.url, api_key="k", stack=Stack([]), http=http) as client:
                for _ in range(2):
                    await asyncio.gather(*(client.chat.completions.create(**ASK) for _ in range(AT_ONCE)))
                    accepted.append(server.accepted)
        return accepted

    assert asyncio.run(main()) == [AT_ONCE, AT_ONCE]


def test_each_thread_of_the_next_burst_finds_one() -> None:
    """In a sync program."""
    accepted: list[int] = []
    with (
        raw_server(SAID) as server,
        OpenAI(base_url=server.url, api_key="k", stack=Stack([])) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        server.together = Barrier(AT_ONCE)
        for _ in range(2):
            asked = [pool.submit(client.chat.completions.create, **ASK) for _ in range(AT_ONCE)]
            assert all(call.result().choices for call in asked)
            accepted.append(server.accepted)
    assert accepted == [AT_ONCE, AT_ONCE]


def test_a_client_of_the_programs_own_keeps_what_it_says() -> None:
    """Its limits are its own."""
    limits = httpx2.Limits(max_keepalive_connections=1)
    with (
        raw_server(SAID) as server,
        httpx2.Client(limits=limits) as http_client,
        OpenAI(base_url=server.url, api_key="k", stack=Stack([]), http_client=http_client) as client,
        ThreadPoolExecutor(3) as pool,
    ):
        server.together = Barrier(3)
        for _ in range(2):
            asked = [pool.submit(client.chat.completions.create, **ASK) for _ in range(3)]
            assert all(call.result().choices for call in asked)
        assert server.accepted == 3 + 2
