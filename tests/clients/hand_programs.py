"""Programs that make requests by hand, and say something of their own for a call, a copy or a client."""

from __future__ import annotations

from typing import Any, TypeVar

import httpx2
import openai

from tests.clients.calls import MODEL, chat
from tests.clients.differential import Attempt, Items
from tests.clients.program_steps import Anything, City, Steps, is_async

T = TypeVar("T")


class OwnStream(openai.Stream[T]):
    """A program's own stream class."""


class OwnAsyncStream(openai.AsyncStream[T]):
    """The same for async clients."""


def own_stream(client: Any) -> Any:
    return OwnAsyncStream if is_async(client) else OwnStream


# ruff: noqa: PLW0108 -- called where the program is played, not here


def requests_by_hand(client: Any) -> Steps:
    body = chat()
    yield Attempt(lambda: client.post("/chat/completions", cast_to=object, body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=dict[str, Any], body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=str, body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=httpx2.Response, body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=type(None), body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, content=b'{"model": "m", "messages": []}'))
    yield Attempt(lambda: client.get("/models", cast_to=httpx2.Response))
    yield Attempt(lambda: client.get("/models/m?x=1", cast_to=Anything, options={"params": {"y": [1, 2]}}))
    yield Attempt(lambda: client.delete("/models/ft:gpt:test::1", cast_to=object))
    yield Attempt(lambda: client.put("/models", cast_to=object, body={}))
    yield Attempt(lambda: client.patch("/models", cast_to=object, body=[1]))
    yield Attempt(lambda: client.post("/x", cast_to=object, body={"a": None}))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=[1, 2]))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=object))
    yield Attempt(lambda: client.get("/models", cast_to=3))


def streams_by_hand(client: Any) -> Steps:
    own: Any = own_stream(client)
    body = chat(stream=True)
    post = client.post
    yield Attempt(lambda: post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=own))
    for kind in (own[Anything], own[dict[str, Any]]):
        stream = yield post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=kind)
        yield isinstance(stream, own)
        yield Items(stream)
    stream = yield client.post("/chat/completions", cast_to=Anything, body=body, stream=True)
    yield Items(stream)
    response = yield client.chat.completions.with_raw_response.create(**body)
    base: Any = openai.AsyncStream if is_async(client) else openai.Stream
    yield Items(response.parse(to=base[Anything]))
    response = yield client.chat.completions.with_raw_response.create(**body)
    yield response.http_response
    raw = response.http_response
    pieces = yield Items(raw.aiter_raw() if is_async(client) else raw.iter_raw())
    yield b"".join(pieces)
    yield raw
    stream = yield client.post("/chat/completions", cast_to=httpx2.Response, body=body, stream=True, stream_cls=own)
    yield Items(stream.aiter_lines() if is_async(client) else stream.iter_lines())


def what_is_said_per_call(client: Any) -> Steps:
    create = client.chat.completions.create
    yield Attempt(lambda: create(**chat(), extra_headers={"x-mine": "1", "X-Stainless-Read-Timeout": "7"}))
    yield Attempt(
        lambda: create(**chat(), extra_headers={"authorization": "Bearer other", "user-agent": openai.Omit()})
    )
    yield Attempt(lambda: create(**chat(), extra_query={"a": "1", "b": [1, 2], "c": {"d": True}, "e": None}))
    yield Attempt(lambda: create(**chat(), extra_body={"top_k": 3, "nested": {"a": [1]}, "temperature": 1}))
    yield Attempt(lambda: create(**chat(temperature=0), extra_body={"temperature": 1, "model": "other"}))
    yield Attempt(lambda: create(**chat(), timeout=7))
    yield Attempt(lambda: create(**chat(), timeout=None))
    yield Attempt(lambda: create(**chat(), timeout=openai.Timeout(9, connect=1)))
    yield Attempt(lambda: create(**chat(), timeout=httpx2.Timeout(9, connect=1)))
    yield Attempt(lambda: create(**chat(stop=None, seed=openai.omit, top_p=openai.NOT_GIVEN)))
    options = {"idempotency_key": "my-key", "timeout": 3, "max_retries": 1, "follow_redirects": False}
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=chat(), options=options))
    yield Attempt(
        lambda: client.post("/chat/completions", cast_to=Anything, body=chat(), options={"extra_json": {"a": 1}})
    )
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=None, options={"extra_json": chat()}))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=[1], options={"extra_json": chat()}))
    yield Attempt(lambda: create(messages=iter([{"role": "user", "content": "once"}]), model=MODEL))
    yield Attempt(lambda: create(messages=[], model=MODEL, extra_headers={"bad header": "x\ny"}))
    yield Attempt(lambda: create(model=MODEL))


def what_is_said_to_copies(client: Any) -> Steps:
    yield Attempt(lambda: client.with_options(timeout=5).chat.completions.create(**chat()))
    yield Attempt(lambda: client.copy(default_headers={"x-a": "1"}).copy(default_headers={"x-b": "2"}).models.list())
    yield Attempt(
        lambda: client.copy(default_headers={"x-a": "1"}).copy(set_default_headers={"x-c": "3"}).models.list()
    )
    yield Attempt(lambda: client.with_options(default_query={"a": "1"}).models.list())
    yield Attempt(
        lambda: client.with_options(default_query={"a": "1"}, organization="org", project="proj").models.retrieve("m")
    )
    yield Attempt(lambda: client.with_options(api_key="sk-test-other").models.retrieve("m"))
    yield Attempt(
        lambda: client.with_options(base_url=client.base_url.copy_with(path="/v1/nowhere/")).models.retrieve("m")
    )


def strict_validation(client: Any) -> Steps:
    yield Attempt(lambda: client.chat.completions.create(**chat()))
    yield Attempt(lambda: client.chat.completions.parse(**chat("Rome", response_format=City)))
    stream = yield client.chat.completions.create(**chat(stream=True))
    yield Items(stream)
    yield Attempt(lambda: client.post("/chat/completions", cast_to=openai.types.Embedding, body=chat()))
    yield Attempt(lambda: client.models.list())


def defaults_of_the_client(client: Any) -> Steps:
    yield client.chat.completions.create(**chat())
    yield client.models.retrieve("m", extra_query={"z": "2"})
    yield client.models.retrieve("m", extra_headers={"X-Mine": "2", "openai-project": "other"})
