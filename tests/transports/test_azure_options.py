"""Azure: where its transport sends, in which version and with whose token, and the mistakes found when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack.errors import OptionError
from llmstack.secrets import mask
from llmstack.testing import LocalServer
from llmstack.transports import AzureTransport
from tests.clients.differential import KEY
from tests.transports.own_rig import (
    AZURE_VERSION,
    SURFACES,
    aclient_of,
    client_of,
    to_azure_v1,
    without_variables,
)


@pytest.mark.parametrize(
    ("endpoint", "options", "address"),
    [
        ("https://r.example.com", {"api_version": "1"}, "https://r.example.com/openai/"),
        ("https://r.example.com/", {"api": "v1"}, "https://r.example.com/openai/v1/"),
        ("https://r.example.com/openai/v1/", {}, "https://r.example.com/openai/v1/"),
        ("https://r.example.com/openai", {"api_version": "1"}, "https://r.example.com/openai/"),
        (
            "https://r.example.com/openai/v1",
            {"api": "deployments", "api_version": "1"},
            "https://r.example.com/openai/",
        ),
        ("https://gate.example.com/llm", {"api": "v1"}, "https://gate.example.com/llm/openai/v1/"),
    ],
)
def test_an_endpoint_is_the_resource_or_its_surface(endpoint: str, options: Any, address: str) -> None:
    """People paste either."""
    transport = AzureTransport(endpoint=endpoint, api_key=KEY, **options)
    assert transport.place.base_url == address
    assert repr(transport) == f"AzureTransport({address!r})"
    transport.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_key": KEY, "api": "v1"}, "needs endpoint=, or AZURE_OPENAI_ENDPOINT"),
        ({"api_key": KEY, "endpoint": "r.example.com", "api": "v1"}, "endpoint= must be an address"),
        ({"api_key": KEY, "endpoint": "https://r.example.com"}, r'needs api_version= .* or api="v1"'),
        ({"endpoint": "https://r.example.com", "api": "v1"}, "needs api_key=, azure_ad_token= or azure_ad_token_provi"),
        ({"endpoint": "https://r.example.com", "api": "v2"}, "api= takes 'deployments' or 'v1', not 'v2'"),
        (
            {"endpoint": "https://r.example.com", "api": "v1", "api_key": KEY, "azure_ad_token": "token-not-a-key"},
            "one of api_key and azure_ad_token, not both",
        ),
        (
            {"endpoint": "https://r.example.com", "api": "v1", "api_key": KEY, "deployments": ["a"]},
            "deployments= takes a table of models and deployments, or a function, not list",
        ),
        (
            {"endpoint": "https://r.example.com", "api": "v1", "api_key": KEY, "deployments": {"m": "a/b"}},
            "'a/b', given for 'm', cannot be the name of a deployment",
        ),
    ],
)
def test_a_mistake_is_found_when_the_transport_is_made(
    options: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to change."""
    without_variables(monkeypatch)
    with pytest.raises(OptionError, match=said):
        AzureTransport(**options)


def test_the_environment_fills_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the SDK; and nothing of OpenAI's account."""
    without_variables(monkeypatch)
    with LocalServer() as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.azure_endpoint)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-env-not-a-key")
        monkeypatch.setenv("OPENAI_API_VERSION", "2025-01-01")
        for name in ("API_KEY", "ORG_ID", "PROJECT_ID", "ADMIN_KEY"):
            monkeypatch.setenv(f"OPENAI_{name}", f"openai-{name}-not-a-key")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-env: openai-env")
        with client_of(AzureTransport()) as client, client.stack:
            client.models.list()
        with client_of(AzureTransport(api="v1")) as client, client.stack:
            client.models.list()
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "azure-token-not-a-key")
        with client_of(AzureTransport()) as client, client.stack:
            client.models.list()
        with client_of(AzureTransport(api_key=KEY)) as client, client.stack:
            client.models.list()
        old, v1, token, explicit = server.requests
    assert (old.headers["api-key"], old.query) == ("azure-env-not-a-key", {"api-version": "2025-01-01"})
    assert (v1.headers["authorization"], v1.query) == ("Bearer azure-env-not-a-key", {})
    assert (token.headers["authorization"], "api-key" in token.headers) == ("Bearer azure-token-not-a-key", False)
    assert (explicit.headers["api-key"], "authorization" in explicit.headers) == (KEY, False)
    assert not [request for request in server.requests if "openai-" in str(request.headers)]


def test_a_version_may_be_given_on_the_surface_v1() -> None:
    """For what is in preview there."""
    with LocalServer() as server, client_of(to_azure_v1(server, api_version="preview")) as client, client.stack:
        client.models.list()
        assert server.requests[0].query == {"api-version": "preview"}


@SURFACES
async def test_tokens_of_entra_id(way: Any) -> None:
    """Given, or from a function, which is asked for each request and may be async."""
    asked: list[str] = []

    def provider() -> str:
        asked.append(f"token-{len(asked)}-not-a-key")
        return asked[-1]

    async def aprovider() -> str:
        return provider()

    with LocalServer() as server:
        options = {"api": "v1"} if way is to_azure_v1 else {"api_version": AZURE_VERSION}

        def transport(**credential: Any) -> AzureTransport:
            return AzureTransport(endpoint=server.azure_endpoint, **options, **credential)

        with client_of(transport(azure_ad_token="static-not-a-key")) as client, client.stack:
            client.models.list()
        with client_of(transport(azure_ad_token_provider=provider)) as client, client.stack:
            client.models.list()
            client.models.list()
        for function in (provider, aprovider):
            async with aclient_of(transport(azure_ad_token_provider=function)) as aclient, aclient.stack:
                await aclient.models.list()
        told = [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]
        assert not [request for request in server.requests if "api-key" in request.headers]
    assert told == ["static-not-a-key", *asked]
    assert len(asked) == 4
    assert [mask(token) for token in told] == ["***"] * 5
