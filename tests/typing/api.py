"""What type checkers must see and what they must object to. Never run: mypy and pyright read it.

A line that must be an error carries a comment for each of them, and each reports comments that are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, assert_type

import httpx2
import openai
from openai.pagination import SyncPage
from openai.types import CreateEmbeddingResponse, FileObject, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionUserMessageParam
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

import llmstack
from llmstack import (
    AsyncAzureOpenAI,
    AsyncOpenAI,
    AzureOpenAI,
    Call,
    Flow,
    Next,
    OpenAI,
    Options,
    Reply,
    Stack,
    Usage,
    hookimpl,
)
from llmstack.middleware import Logging, Retry

HI: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Hi"}]


class City(BaseModel):
    """Structured output."""

    name: str


# Calls ---------------------------------------------------------------------------------------------------------------


def sync_calls(client: OpenAI) -> None:
    """What a sync client's methods give."""
    assert_type(client.chat.completions.create(model="m", messages=HI), ChatCompletion)
    stream = client.chat.completions.create(model="m", messages=HI, stream=True)
    assert_type(stream, openai.Stream[ChatCompletionChunk])
    for chunk in stream:
        assert_type(chunk, ChatCompletionChunk)
    parsed = client.chat.completions.parse(model="m", messages=HI, response_format=City)
    assert_type(parsed.choices[0].message.parsed, City | None)
    assert_type(client.responses.create(model="m", input="Hi"), Response)
    assert_type(client.responses.create(model="m", input="Hi", stream=True), openai.Stream[ResponseStreamEvent])
    assert_type(client.embeddings.create(model="m", input="Hi"), CreateEmbeddingResponse)
    assert_type(client.models.list(), SyncPage[Model])
    assert_type(client.files.retrieve("file-1"), FileObject)
    assert_type(client.post("/x", cast_to=httpx2.Response), httpx2.Response)
    raw = client.chat.completions.with_raw_response.create(model="m", messages=HI)
    assert_type(raw.parse(), ChatCompletion)
    client.chat.completions.create(model="m", messages=HI, temprature=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def async_calls(client: AsyncOpenAI) -> None:
    """What an async client's methods give."""
    assert_type(await client.chat.completions.create(model="m", messages=HI), ChatCompletion)
    stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
    assert_type(stream, openai.AsyncStream[ChatCompletionChunk])
    async for chunk in stream:
        assert_type(chunk, ChatCompletionChunk)
    assert_type(await client.responses.create(model="m", input="Hi"), Response)
    async for model in client.models.list():
        assert_type(model, Model)


# Clients -------------------------------------------------------------------------------------------------------------


def drop_in() -> None:
    """Ours go wherever the SDK's are asked for, and Azure's wherever ours are."""
    sync: openai.OpenAI = OpenAI()
    sync_azure: openai.AzureOpenAI = AzureOpenAI()
    ours: OpenAI = AzureOpenAI()
    asynchronous: openai.AsyncOpenAI = AsyncOpenAI()
    async_azure: openai.AsyncAzureOpenAI = AsyncAzureOpenAI()
    async_ours: AsyncOpenAI = AsyncAzureOpenAI()
    wrong: AsyncOpenAI = OpenAI()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del sync, sync_azure, ours, asynchronous, async_azure, async_ours, wrong


def constructors(http_client: httpx2.Client, async_http_client: httpx2.AsyncClient) -> None:
    """Every argument is the SDK's or ``stack``."""
    OpenAI(api_key="x", base_url="http://x/v1", timeout=3, max_retries=1, default_headers={"a": "b"})
    OpenAI(api_key=lambda: "x", organization="o", project="p", http_client=http_client, stack=Stack([Retry()]))
    OpenAI(timeout=openai.Timeout(3, connect=1), default_query={"a": 1}, stack="llmstack.toml")
    OpenAI(stack=Path("llmstack.toml"))
    AsyncOpenAI(api_key="x", http_client=async_http_client, stack=None)
    AzureOpenAI(azure_endpoint="x", api_version="y", azure_deployment="z", azure_ad_token="t")
    AzureOpenAI(azure_ad_token_provider=lambda: "t", stack=Stack())
    OpenAI(api_keyy="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    OpenAI(azure_endpoint="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    AzureOpenAI(azure_endpont="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    OpenAI(timeout="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OpenAI(http_client=async_http_client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OpenAI(stack=[Retry()])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OpenAI("x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def copies(client: OpenAI, azure: AsyncAzureOpenAI) -> None:
    """They are of the same class, with the same stack or another."""
    assert_type(client.copy(), OpenAI)
    assert_type(client.with_options(timeout=3, max_retries=1), OpenAI)
    assert_type(azure.with_options(api_version="x", stack=Stack()), AsyncAzureOpenAI)
    assert_type(client.stack, Stack)
    client.with_options(set_default_headers={"a": "b"}, default_query={"q": "1"})
    client.with_options(timout=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.copy(stack=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with client as entered:
        assert_type(entered, OpenAI)


# Stacks and plugins --------------------------------------------------------------------------------------------------


def function(call: Call, next: Next) -> Flow[Reply]:
    """A plugin that is a function."""
    reply = yield from next(call.with_params(seed=1))
    assert_type(reply, Reply)
    assert_type(reply.usage, Usage | None)
    return reply


class Layer:
    """A plugin that is a class."""

    name = "layer"

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Pass on."""
        assert_type(call.params, Mapping[str, Any])
        assert_type(call.options, Options)
        assert_type(call.model, str | None)
        return (yield from next(call))


def stacks() -> None:
    """What a stack takes and gives."""
    stack = Stack([function, Layer(), Layer, Retry(attempts=5), Logging()])
    assert_type(stack, Stack)
    assert_type(Stack.default(), Stack)
    assert_type(Stack.from_config("llmstack.toml"), Stack)
    assert_type(stack.with_plugins(Retry(), outermost=True), Stack)
    assert_type(stack.without("retry"), Stack)
    assert_type(stack.plugins, dict[str, Any])
    with stack as entered:
        assert_type(entered, Stack)
    Stack(Retry())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Stack([], transprt=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Retry(attempts="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Short:
    """A plugin whose hook lacks an argument."""

    @hookimpl
    def llmstack_call(self, call: Call) -> Flow[Reply]:
        """Nowhere to pass on to."""
        raise NotImplementedError


class Asynchronous:
    """A plugin whose hook is async."""

    @hookimpl
    async def llmstack_call(self, call: Call, next: Next) -> Reply:
        """No generator."""
        raise NotImplementedError


def asking(call: Call, next: Next) -> Reply:
    """A function that is no generator."""
    raise NotImplementedError


def wrong_plugins() -> None:
    """What is no plugin is a red squiggle."""
    Stack([Short()])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Stack([Asynchronous()])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Stack([asking])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Stack(["retry"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def frozen(call: Call, replies: Sequence[Reply]) -> None:
    """What layers are given cannot be changed in place."""
    call.stream = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    call.params["seed"] = 1  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    assert_type(call.replace(path="/x"), Call)
    assert_type([reply.replace(body={}) for reply in replies], list[Reply])


def said() -> None:
    """Options and tags."""
    with llmstack.options(tenant="acme", tags={"team": "search"}, deadline=20, cache="refresh"):
        pass
    llmstack.options(tenant=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    llmstack.options(tags="team=search")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    llmstack.options("acme")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with llmstack.options() as options:
        assert_type(options, llmstack.options)
