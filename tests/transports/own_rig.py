"""A client that points nowhere, and a transport that sends its calls to a server all the same."""

from __future__ import annotations

import os
from typing import Any

import pytest

import llmstack
from llmstack import Stack
from llmstack.testing import LocalServer
from llmstack.transports import AzureTransport, OpenAITransport
from tests.clients.differential import KEY

OUTER_KEY = "sk-outer-not-a-key"
AZURE_VERSION = "2024-10-21"
NOWHERE = "http://outer.invalid/v1"

OUTER: dict[str, Any] = {
    "base_url": NOWHERE,
    "api_key": OUTER_KEY,
    "organization": "org-outer",
    "project": "proj-outer",
    "default_headers": {"x-outer": "outer", "x-outer-key": "outer-not-a-key"},
    "default_query": {"outer": "1"},
}
"""Everything that a client may have that is for its own host only."""


def to_openai(server: LocalServer, **options: Any) -> OpenAITransport:
    """A transport to the server as OpenAI."""
    return OpenAITransport(base_url=server.base_url, api_key=KEY, **options)


def to_azure(server: LocalServer, **options: Any) -> AzureTransport:
    """A transport to the server's deployments."""
    return AzureTransport(endpoint=server.azure_endpoint, api_version=AZURE_VERSION, api_key=KEY, **options)


def to_azure_v1(server: LocalServer, **options: Any) -> AzureTransport:
    """A transport to the server's surface v1."""
    return AzureTransport(endpoint=server.azure_endpoint, api="v1", api_key=KEY, **options)


SURFACES = pytest.mark.parametrize("way", [to_azure, to_azure_v1], ids=["deployments", "v1"])
DEPLOYMENTS = {"gpt-5-mini": "prod-mini", "gpt-5*": "prod-big", "text-embedding-?": "vectors", "gpt-5-[ab]": "never"}
WAYS = pytest.mark.parametrize("way", [to_openai, to_azure, to_azure_v1])


def chat(text: str = "Hi", **more: Any) -> Any:
    """The arguments of a chat completion."""
    return {"model": "gpt-5-mini", "messages": [{"role": "user", "content": text}], **more}


def everything(server: LocalServer) -> str:
    """All that the server was sent."""
    return " ".join(f"{request.path} {request.query} {request.headers} {request.body!r}" for request in server.requests)


def client_of(transport: Any, **options: Any) -> llmstack.OpenAI:
    """A sync client that points nowhere."""
    return llmstack.OpenAI(stack=Stack([], transport=transport), **{**OUTER, **options})


def aclient_of(transport: Any, **options: Any) -> llmstack.AsyncOpenAI:
    """An async client that points nowhere."""
    return llmstack.AsyncOpenAI(stack=Stack([], transport=transport), **{**OUTER, **options})


def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing of any account."""
    for name in [name for name in os.environ if "OPENAI" in name]:
        monkeypatch.delenv(name)
