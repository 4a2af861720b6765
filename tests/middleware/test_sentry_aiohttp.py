"""Sentry's own integrations of aiohttp and of the HTTP client: passed by, as over the default connections."""

from typing import Any

import openai
import pytest
import sentry_sdk

from llmstack import AsyncOpenAI, Stack
from llmstack.middleware import Sentry
from tests.middleware.sentry_rig import ASK, KEY, sentry

aiohttp = pytest.importorskip("aiohttp")

__all__ = ["sentry"]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def integrated(sentry, monkeypatch):
    """Both are enabled; what they patch is as before afterwards."""
    from aiohttp.web import Application, UrlDispatcher
    from sentry_sdk.integrations.aiohttp import AioHttpIntegration
    from sentry_sdk.integrations.httpx2 import Httpx2Integration

    places = ((aiohttp.ClientSession, "__init__"), (Application, "_handle"), (UrlDispatcher, "resolve"))
    for kind, name in places:
        monkeypatch.setattr(kind, name, getattr(kind, name))
    sentry.init(AioHttpIntegration(), Httpx2Integration(), trace_propagation_targets=[".*"])


@pytest.fixture(params=["default", "aiohttp"])
async def client(request, server):
    """A client on either kind of connection."""
    http: Any = None if request.param == "default" else request.param
    async with AsyncOpenAI(api_key=KEY, base_url=server.base_url, stack=Stack([Sentry()]), http=http) as client:
        yield client


def told(rig):
    """The spans, and where they lie."""
    sentry_sdk.flush()
    return [(span["op"], span["origin"]) for span in rig.transport.spans]


def traced(request):
    """What a request says of a trace."""
    return {name for name in request.headers if name.lower() in ("sentry-trace", "baggage")}


OURS = ("gen_ai.chat", "auto.ai.llmstack")


async def test_a_call_has_one_span_and_tells_the_provider_nothing(sentry, server, client):
    """The first, for which a connection is opened, and the second; plain and streamed."""
    with sentry_sdk.start_transaction(name="page"):
        for _ in range(2):
            await client.chat.completions.create(**ASK)
        stream = await client.chat.completions.create(**ASK, stream=True)
        assert [chunk async for chunk in stream]
    assert told(sentry) == [OURS, OURS, OURS]
    assert [traced(request) for request in server.requests] == [set()] * 3


async def test_a_call_without_a_model_keeps_its_spans(sentry, server, client):
    """And the headers that go with them, before and after one that has none."""
    with sentry_sdk.start_transaction(name="page"):
        await client.models.list()
        await client.chat.completions.create(**ASK)
        await client.models.list()
    spans = told(sentry)
    assert spans.count(OURS) == 1
    assert {op for op, _ in spans} == {"gen_ai.chat", "http.client"}
    assert [bool(traced(request)) for request in server.requests] == [True, False, True]


async def test_what_somebody_else_traces_is_traced(server, sentry):
    """Sentry's trace is left out of the program's own ones, and only that."""
    seen: list[str] = []

    async def started(*_: Any) -> None:
        seen.append("started")

    theirs = aiohttp.TraceConfig()
    theirs.on_request_start.append(started)
    async with AsyncOpenAI(api_key=KEY, base_url=server.base_url, stack=Stack([Sentry()]), http="aiohttp") as client:
        await client.models.list()
        transport: Any = client._client._transport  # noqa: SLF001 - nothing public leads to it
        session = transport.client
        theirs.freeze()
        session.trace_configs.append(theirs)
        await client.chat.completions.create(**ASK)
    assert seen == ["started"]
    assert traced(server.requests[-1]) == set()


async def test_other_clients_keep_theirs(sentry, server):
    """A bare client on aiohttp."""
    http_client = openai.DefaultAioHttpClient()
    with sentry_sdk.start_transaction(name="page"):
        async with openai.AsyncOpenAI(api_key=KEY, base_url=server.base_url, http_client=http_client) as bare:
            await bare.chat.completions.create(**ASK)
    assert ("http.client", "auto.http.aiohttp") in told(sentry)
    assert traced(server.requests[-1])
