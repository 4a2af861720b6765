"""One program, every transport: OpenAI, Azure in both its forms, Responses, chat, and one on top of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

import llmstack
from llmstack import Stack, Transport
from llmstack.middleware import Budget, Retry
from llmstack.testing import LocalServer
from llmstack.transports import AzureTransport, ChatTransport, OpenAITransport, ResponsesTransport
from tests.clients.calls import MODEL, chat
from tests.clients.calls import Call as Comparison
from tests.clients.differential import KEY, Outcome, Program, aobserve, observe
from tests.transports.test_chat import REQUESTS as RESPONSES
from tests.transports.test_responses import REQUESTS, STREAMED, models

# The SDK's parsed models warn when they are written down, whatever they come from.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")

Make = Callable[[LocalServer], Transport]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def openai_there(server: LocalServer) -> Transport:
    return OpenAITransport(api_key=KEY, base_url=server.base_url)


def azure_by_deployment(server: LocalServer) -> Transport:
    deployments = {MODEL: MODEL}
    return AzureTransport(
        endpoint=server.azure_endpoint, api_version="2024-10-21", api_key=KEY, deployments=deployments
    )


def azure_v1(server: LocalServer) -> Transport:
    return AzureTransport(endpoint=server.azure_endpoint, api="v1", api_key=KEY)


def responses(server: LocalServer) -> Transport:
    return ResponsesTransport(openai_there(server))


def responses_by_azure(server: LocalServer) -> Transport:
    return ResponsesTransport(azure_v1(server))


def chat_there(server: LocalServer) -> Transport:
    return ChatTransport(openai_there(server))


def chat_by_azure(server: LocalServer) -> Transport:
    return ChatTransport(azure_by_deployment(server))


CHAT_PATHS: dict[Make, str] = {
    openai_there: "/v1/chat/completions",
    azure_by_deployment: f"/openai/deployments/{MODEL}/chat/completions",
    azure_v1: "/openai/v1/chat/completions",
    responses: "/v1/responses",
    responses_by_azure: "/openai/v1/responses",
    chat_there: "/v1/chat/completions",
}
"""Where each asks what a chat completion asks."""

RESPONSES_PATHS: dict[Make, str] = {
    openai_there: "/v1/responses",
    azure_v1: "/openai/v1/responses",
    chat_there: "/v1/chat/completions",
    chat_by_azure: f"/openai/deployments/{MODEL}/chat/completions",
}
"""And what a response does."""

ERRORS: dict[str, dict[str, Any]] = {
    "bad request": {"status": 400, "code": "invalid_value"},
    "context": {"status": 400, "code": "context_length_exceeded"},
    "key": {"status": 401, "code": "invalid_api_key"},
    "forbidden": {"status": 403},
    "missing": {"status": 404, "code": "model_not_found"},
    "conflict": {"status": 409},
    "unprocessable": {"status": 422},
    "limited": {"status": 429, "code": "rate_limit_exceeded"},
    "broken": {"status": 500},
    "overloaded": {"status": 503},
    "lost": {"fault": "close"},
    "page": {"fault": "html"},
}


def told(outcome: Outcome) -> list[Any]:
    """What a program saw, without what Azure tells besides: what its content filter thinks, in an event of its own."""
    found = [_without(entry) for entry in models(outcome)]
    return [entry for entry in found if entry.get("choices") != [] or entry.get("usage")]


def response(outcome: Outcome) -> list[Any]:
    """The response that a program saw at last, plain or streamed."""
    return [_without(entry) for entry in models(outcome)][-1:]


_DIFFERENT = frozenset(
    {
        *("id", "item_id", "call_id", "system_fingerprint", "sequence_number", "completed_at", "store"),
        *("input_tokens", "total_tokens"),  # the local server counts them otherwise in each of its APIs
        *("prompt_filter_results", "content_filter_results", "content_filters"),
    }
)


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(entry) for name, entry in value.items() if name not in _DIFFERENT}
    return [_without(entry) for entry in value] if isinstance(value, list) else value


async def compared(make: Make, program: Program, path: str, seen: Callable[[Outcome], Any]) -> None:
    """What the program sees through this transport, sync and async, is what it sees of the SDK alone."""
    with LocalServer() as server:
        theirs = seen(observe(openai.OpenAI, server, program))
    assert theirs
    for asynchronous in (False, True):
        with LocalServer() as server:
            stack = Stack([Budget(["$100/day"]), Retry()], transport=make(server))
            if asynchronous:
                ours = await aobserve(llmstack.AsyncOpenAI, server, program, stack=stack)
                await stack.aclose()
            else:
                ours = observe(llmstack.OpenAI, server, program, stack=stack)
                stack.close()
            assert {request.path for request in server.requests} == {path}
        assert seen(ours) == theirs


@pytest.mark.parametrize("make", CHAT_PATHS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", [*REQUESTS, *STREAMED])
async def test_a_chat_program_sees_the_same(make: Make, name: str) -> None:
    """Texts, images, tools, several at once, forms, refusals; plain and streamed."""
    request = {**REQUESTS, **STREAMED}[name]
    program = Comparison(name, "chat.completions.create", request, streamed="stream" in request).plain
    await compared(make, program, CHAT_PATHS[make], told)


@pytest.mark.parametrize("make", RESPONSES_PATHS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", RESPONSES)
async def test_a_responses_program_sees_the_same(make: Make, name: str) -> None:
    """The same of the Responses API."""
    request = {"model": MODEL, **RESPONSES[name]}
    program = Comparison(name, "responses.create", request).plain
    await compared(make, program, RESPONSES_PATHS[make], response)


@pytest.mark.parametrize("make", RESPONSES_PATHS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["a text", "one call", "a refusal", "too little room", "a form"])
async def test_a_responses_stream_says_the_same(make: Make, name: str) -> None:
    """The last event has the whole response, whatever came before it."""
    request = {"model": MODEL, **RESPONSES[name], "stream": True}
    program = Comparison(name, "responses.create", request, streamed=True).plain
    await compared(make, program, RESPONSES_PATHS[make], response)


@pytest.mark.parametrize("make", CHAT_PATHS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_an_error_is_the_same(make: Make, name: str, stream: bool) -> None:  # noqa: FBT001
    """Its class, status and code."""

    def failure(client: openai.OpenAI, server: LocalServer) -> tuple[Any, ...]:
        server.next(times=None, **ERRORS[name])
        create: Any = client.chat.completions.create
        with client, pytest.raises(openai.APIError) as caught:
            list(create(**chat(), stream=stream))
        error = caught.value
        return type(error), getattr(error, "status_code", None), error.code

    with LocalServer() as server:
        theirs = failure(
            llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([Retry(attempts=1)])), server
        )
    with LocalServer() as server:
        stack = Stack([Retry(attempts=1)], transport=make(server))
        ours = failure(llmstack.OpenAI(base_url="https://api.example.com/v1", api_key="k", stack=stack), server)
        stack.close()
    assert ours == theirs
