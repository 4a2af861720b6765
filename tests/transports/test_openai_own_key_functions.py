"""The key of a transport may come from a function, sync or async."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack.errors import OptionError, UnsupportedError
from llmstack.secrets import mask
from llmstack.testing import LocalServer
from llmstack.transports import AzureTransport, OpenAITransport
from tests.transports.own_rig import (
    aclient_of,
    client_of,
)


def test_a_function_gives_the_key_of_each_request() -> None:
    """It may change; what it gave is known as a secret."""
    keys = iter(["sk-first-not-a-key", "sk-second-not-a-key"])
    with LocalServer() as server:
        own = OpenAITransport(base_url=server.base_url, api_key=lambda: next(keys))
        with client_of(own) as client, client.stack:
            client.models.list()
            client.models.list()
    told = [request.headers["authorization"] for request in server.requests]
    assert told == ["Bearer sk-first-not-a-key", "Bearer sk-second-not-a-key"]
    assert "second" not in mask("sk-second-not-a-key")


async def test_a_function_may_be_async_for_async_clients() -> None:
    """Or not."""

    async def later() -> str:
        return "sk-later-not-a-key"

    with LocalServer() as server:
        for key in (later, lambda: "sk-now-not-a-key"):
            own = OpenAITransport(base_url=server.base_url, api_key=key)
            async with aclient_of(own) as client, client.stack:
                await client.models.list()
    told = [request.headers["authorization"] for request in server.requests]
    assert told == ["Bearer sk-later-not-a-key", "Bearer sk-now-not-a-key"]


def test_an_async_function_cannot_serve_a_sync_client() -> None:
    """The error says so, and nobody is left waiting."""

    async def later() -> str:
        return "sk-later-not-a-key"

    with LocalServer() as server:
        for own in (
            OpenAITransport(base_url=server.base_url, api_key=later),
            AzureTransport(endpoint=server.azure_endpoint, api_version="1", azure_ad_token_provider=later),
        ):
            with client_of(own) as client, client.stack, pytest.raises(UnsupportedError, match="is async"):
                client.models.list()
        assert server.count() == 0


@pytest.mark.parametrize("given", ["", None, 7])
def test_a_function_must_give_a_key(given: Any) -> None:
    """What it gave instead is told by its kind."""
    with LocalServer() as server:
        own = OpenAITransport(base_url=server.base_url, api_key=lambda: given)
        with client_of(own) as client, client.stack, pytest.raises(OptionError, match="must return a key"):
            client.models.list()
