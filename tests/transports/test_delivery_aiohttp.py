"""What is known of a request that failed on connections of aiohttp, whose errors the SDK's adapter renames."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack import AsyncOpenAI, Stack
from llmstack.effects import adrive
from llmstack.middleware import Budget
from llmstack.testing import LocalServer
from llmstack.transports import Delivery, delivery
from tests.transports.test_delivery import free_port

pytest.importorskip("aiohttp")
ASK: dict[str, Any] = {
    "model": "gpt-5-mini",
    "messages": [{"role": "user", "content": "hi"}],
    "max_completion_tokens": 100,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def failure(base_url: str, *plugins: Any, **more: Any) -> openai.APIError:
    """The error of one request."""
    given: dict[str, Any] = {"http": "aiohttp", **more}
    client = AsyncOpenAI(
        base_url=base_url, api_key="sk-test-not-a-key", stack=Stack([*plugins]), max_retries=0, **given
    )
    async with client:
        with pytest.raises(openai.APIError) as caught:
            await client.chat.completions.create(**ASK)
    return caught.value


@pytest.mark.parametrize("own", [False, True], ids=["ours", "the SDK's"])
@pytest.mark.parametrize("fault", ["close", "reset"])
async def test_a_connection_that_is_lost_leaves_it_unknown(local_server: LocalServer, fault: Any, own: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The server had it: it may be executed, and is paid for."""
    local_server.next(fault=fault)
    budget = Budget(["$1/day"])
    more = {"http": None, "http_client": openai.DefaultAioHttpClient()} if own else {}
    error = await failure(local_server.base_url, budget, **more)
    assert delivery(error) is Delivery.UNKNOWN
    (row,) = await adrive(budget.ledger.history())
    assert row.estimated == "reserved"
    assert row.cost


async def test_a_connection_that_never_was_sent_nothing() -> None:
    """Nobody listens, or there is no such host."""
    for host in (f"127.0.0.1:{free_port()}", "nowhere.invalid"):
        assert delivery(await failure(f"http://{host}/v1")) is Delivery.NOT_SENT
