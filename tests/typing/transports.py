"""What type checkers must see of transports. Never run: mypy and pyright read it."""

from __future__ import annotations

import httpx2

from llmstack import Call, Flow, Incoming, Reply, Stack, Transport
from llmstack.transports import AzureTransport, OpenAITransport, Place, guarded, outgoing, round_trip


async def token() -> str:
    """A token of Entra ID, fetched."""
    return "token-not-a-key"


class Plain:
    """A transport of one's own."""

    name = "plain"

    def __init__(self) -> None:
        self.place = Place("https://llm.example.com/v1/")
        self.client = guarded(httpx2.Client())
        self.aclient = guarded(httpx2.AsyncClient())

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Send."""
        request = outgoing(call, self.place.base_url)
        return (yield from round_trip(call, lambda: self.client.send(request), lambda: self.aclient.send(request)))


def transports() -> list[Transport]:
    """All of these are some."""
    return [
        OpenAITransport(),
        OpenAITransport(api_key=lambda: "k", base_url=httpx2.URL("https://llm.example.com"), timeout=None),
        AzureTransport(endpoint="https://example.com", api="v1", azure_ad_token_provider=token),
        AzureTransport(api_version="2024-10-21", deployments={"gpt-5*": "prod"}, http_client=httpx2.Client()),
        AzureTransport(deployments=lambda model: model if model == "m" else None),
        Plain(),
    ]


def stacks() -> None:
    """A stack takes any; a deployment is a text, and there are two surfaces."""
    for transport in transports():
        Stack([], transport=transport)
    AzureTransport(deployments={"m": 1})  # type: ignore[dict-item] # pyright: ignore[reportArgumentType]
    AzureTransport(api="v2")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    OpenAITransport("k")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
