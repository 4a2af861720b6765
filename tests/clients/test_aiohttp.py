"""``http="aiohttp"``: the SDK's other connections, one option away."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai
import pytest

from llmstack import AsyncAzureOpenAI, AsyncOpenAI, OpenAI, Stack
from llmstack.testing import LocalServer
from tests.clients.calls import CALLS, Call
from tests.clients.differential import aobserve, assert_same

pytest.importorskip("aiohttp")
KEY = "sk-test-not-a-key"
MESSAGES: Any = [{"role": "user", "content": "Say hello"}]
CHAT = [call for call in CALLS if call.path.startswith(("chat.", "responses.", "embeddings."))]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("mode", ["plain", "raw"])
@pytest.mark.parametrize("call", CHAT, ids=lambda call: call.name)
async def test_a_call_equals_the_sdks_on_aiohttp(call: Call, mode: str) -> None:
    """Results, errors and bytes."""
    http_client = openai.DefaultAioHttpClient()
    with LocalServer() as server:
        theirs = await aobserve(openai.AsyncOpenAI, server, getattr(call, mode), http_client=http_client)
    with LocalServer() as server:
        ours = await aobserve(AsyncOpenAI, server, getattr(call, mode), http="aiohttp", stack=Stack([]))
    assert_same(ours, theirs)


def test_each_event_loop_has_its_own_and_none_is_left_open() -> None:
    """Several ``asyncio.run`` with one client, which nobody closes: aiohttp would complain of an open session."""
    with LocalServer() as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([]), http="aiohttp")

        async def ask() -> Any:
            stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            assert [chunk async for chunk in stream]
            return await client.chat.completions.create(model="m", messages=MESSAGES)

        assert all(asyncio.run(ask()).choices for _ in range(3))


async def test_copies_share_the_connections() -> None:
    """Like those of any client."""
    async with AsyncOpenAI(api_key=KEY, stack=Stack([]), http="aiohttp") as client:
        assert client.with_options(timeout=1)._client is client._client  # noqa: SLF001 - nothing public tells


async def test_azure_takes_it_too() -> None:
    """Its client is one of ours."""
    azure: Any = {"azure_endpoint": "http://azure.invalid", "api_version": "2024-10-21"}
    async with AsyncAzureOpenAI(api_key=KEY, stack=Stack([]), http="aiohttp", **azure) as client:
        assert "aiohttp" in type(client._client._transport).__module__  # noqa: SLF001 - nothing public tells


def test_it_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both given, something else, sync, not installed."""
    unknown: Any = "curl"
    with pytest.raises(TypeError, match="either it or http_client"):
        AsyncOpenAI(api_key=KEY, http="aiohttp", http_client=openai.DefaultAsyncHttpxClient())
    with pytest.raises(TypeError, match="takes 'aiohttp' or None, not 'curl'"):
        AsyncOpenAI(api_key=KEY, http=unknown)
    with pytest.raises(TypeError, match="http"):
        OpenAI(api_key=KEY, http=unknown)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ImportError, match=r"llmstack-openai\[aiohttp\]"):
        AsyncOpenAI(api_key=KEY, http="aiohttp")
