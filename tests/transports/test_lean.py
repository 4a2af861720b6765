"""Connections that are borrowed: given back, dropped, shared with the pool, and never with two calls at once."""

# ruff: noqa: SLF001 -- nothing public tells which connections there are

from __future__ import annotations

import copy
import gc
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack._wire.late import LateResponse
from llmstack._wire.superseded import peeled
from llmstack.testing import LocalServer
from llmstack.transports import usual
from tests.transports.pools import KEY, ask, pool, states


@pytest.fixture(autouse=True)
def plain_library(monkeypatch):
    """The HTTP library without what Sentry, once it was initialised in this process, leaves in it for ever."""
    for kind, name in usual._LAYERS:
        monkeypatch.setattr(kind, name, peeled(getattr(kind, name), {"sentry_sdk"}))


@pytest.fixture
def server():
    """A server of its own for each test."""
    with LocalServer() as server:
        yield server


@pytest.fixture
def borrowed(monkeypatch):
    """How often a connection was borrowed."""
    counted: list[Any] = []
    from llmstack.transports import swift

    original = swift.converse

    def converse(line: Any, out: Any) -> Any:
        counted.append(line)
        return original(line, out)

    monkeypatch.setattr(swift, "converse", converse)
    return counted


def test_calls_one_after_the_other_share_a_connection(client, borrowed):
    """Whole answers and streams alike; after each it is idle."""
    for _ in range(3):
        ask(client)
        assert states(client) == ["IDLE"]
        list(ask(client, stream=True))
        assert states(client) == ["IDLE"]
    client.models.list()  # goes through the pool
    ask(client)
    assert states(client) == ["IDLE"]
    assert len(borrowed) == 7
    assert pool(client)._requests == []


def test_a_stream_that_is_left_in_the_middle_costs_its_connection(client):
    """What is still to come would be taken for the next answer."""
    long: Any = [{"role": "user", "content": "word " * 20_000}]
    stream = client.chat.completions.create(model="m", messages=long, stream=True)
    next(stream)
    assert states(client) == ["ACTIVE"]
    stream.close()
    assert states(client) == []
    ask(client)
    assert states(client) == ["IDLE"]


def test_streams_at_once_have_connections_of_their_own(client):
    """And whoever comes next takes one of them."""
    streams = [ask(client, stream=True) for _ in range(3)]
    first = [next(stream) for stream in streams]
    assert states(client) == ["ACTIVE"] * 3
    assert len({chunk.id for chunk in first}) == 3
    for stream in streams:
        list(stream)
    assert states(client) == ["IDLE"] * 3


def test_many_threads_get_their_own_answers(server, client):
    """Sixteen threads, half of their calls streams: each answer is to its own question."""

    def talk(thread: int) -> None:
        for i in range(8):
            text = f"thread {thread} call {i}"
            messages: Any = [{"role": "user", "content": text}]
            if i % 2:
                stream = client.chat.completions.create(model="m", messages=messages, stream=True)
                said = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
            else:
                said = client.chat.completions.create(model="m", messages=messages).choices[0].message.content
            assert text in said

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(talk, range(16)))
    assert set(states(client)) == {"IDLE"}
    assert pool(client)._requests == []


def test_a_connection_that_has_been_idle_for_too_long_is_not_used(client, borrowed, monkeypatch):
    """The pool's own rule; it closes it, too."""
    ask(client)
    (line,) = borrowed
    line.http11._expire_at = 0.0
    ask(client)
    assert borrowed[1].http11 is not line.http11
    assert line.http11.is_closed()
    assert states(client) == ["IDLE"]


def test_a_connection_that_the_server_has_closed_is_not_used(server, client):
    """It is readable, as its end has come."""
    ask(client)
    server.stop()
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    server.start()
    assert ask(client).choices


def test_a_full_pool_makes_calls_wait_as_ever(client):
    """The limit is the pool's."""
    pool(client)._max_connections = 1
    stream = ask(client, stream=True)
    next(stream)
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask(client, timeout=5)))
    thread.start()
    list(stream)
    thread.join()
    assert answers[0].choices
    assert len(pool(client).connections) == 1


async def test_async_calls_share_and_give_back(server):
    """On both event loops."""
    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([])) as client:
        for _ in range(3):
            await ask(client)
            stream = await ask(client, stream=True)
            assert [chunk async for chunk in stream]
        assert states(client) == ["IDLE"]


NOT_LEAN = {
    "a hook": lambda http: http.event_hooks["request"].append(lambda request: None),
    "a cookie": lambda http: http.cookies.set("a", "b"),
    "an authentication": lambda http: setattr(http, "auth", ("user", "pass")),
    "a parameter": lambda http: setattr(http, "params", {"a": "b"}),
    "a mount": lambda http: http._mounts.update({vars(httpx2)["_utils"].URLPattern("http://x"): None}),
}


@pytest.mark.parametrize("what", NOT_LEAN)
def test_an_http_client_with_something_on_it_sends_itself(client, borrowed, what):
    """Hooks are called, cookies are sent."""
    NOT_LEAN[what](client._client)
    assert ask(client).choices
    assert borrowed == []


@pytest.mark.parametrize(("kind", "name"), usual._LAYERS[::2])
def test_what_somebody_has_put_into_the_http_library_is_called(client, borrowed, monkeypatch, kind, name):
    """As programs do that trace requests, or mock them."""
    ask(client)
    called: list[Any] = []
    original = getattr(kind, name)

    def traced(self: Any, request: Any, **how: Any) -> Any:
        called.append(request)
        return original(self, request, **how)

    monkeypatch.setattr(kind, name, traced)
    assert ask(client).choices
    assert (len(called), len(borrowed)) == (1, 1)


@pytest.mark.parametrize("name", ["_prepare_options", "_prepare_request", "_build_request", "_validate_headers"])
def test_a_client_that_prepares_its_requests_itself_does_so(server, borrowed, name):
    """A subclass of the program's own, or a method put on the object."""
    called: list[str] = []
    original = getattr(OpenAI, name)

    def method(self: Any, *args: Any, **more: Any) -> Any:
        called.append(name)
        return original(self, *args, **more)

    kind = type("Mine", (OpenAI,), {name: method})
    with kind(base_url=server.base_url, api_key=KEY, stack=Stack([])) as client:
        ask(client)
        ask(client)
    assert called == [name, name]
    with OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([])) as client:
        ask(client)
        setattr(client, name, lambda *args, **more: method(client, *args, **more))
        ask(client)
    assert len(called) == 3
    assert len(borrowed) == 1


def test_keys_that_are_fetched_are_fetched_for_each_request(server, borrowed):
    """And never prepared."""
    keys = iter(["sk-one-of-them", "sk-another-one"])
    with OpenAI(base_url=server.base_url, api_key=lambda: next(keys), stack=Stack([])) as client:
        ask(client)
        ask(client)
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer sk-one-of-them", "Bearer sk-another-one"]
    assert borrowed == []


def test_the_http_librarys_log_line_is_written(client, caplog):
    """Programs look for it."""
    caplog.set_level(logging.INFO, "httpx2")
    ask(client)
    ask(client)
    ours, theirs = (record.getMessage() for record in caplog.records if record.name == "httpx2")
    client._client.event_hooks["request"].append(lambda request: None)
    ask(client)
    assert caplog.records[-1].getMessage() == ours == theirs
    assert ours.startswith("HTTP Request: POST http://127.0.0.1:")


def test_with_debug_logs_each_step_is_told_by_who_takes_it(client, borrowed, caplog):
    """The SDK and the HTTP library tell of theirs."""
    caplog.set_level(logging.DEBUG)
    ask(client)
    assert borrowed == []
    assert {"openai._base_client", "httpcore2.http11"} <= {record.name for record in caplog.records}


def test_a_response_that_nobody_looked_at_is_one_at_the_first_look():
    """By any attribute, by copying or pickling; made once."""
    made: list[httpx2.Response] = []

    def make() -> httpx2.Response:
        made.append(httpx2.Response(200, json={"a": 1}, request=httpx2.Request("GET", "http://example.com")))
        return made[-1]

    late = LateResponse(make)
    assert isinstance(late, httpx2.Response)
    assert made == []
    assert late.json() == {"a": 1}
    assert (type(late), late.status_code, late.url.host) == (httpx2.Response, 200, "example.com")
    assert len(made) == 1
    assert pickle.loads(pickle.dumps(LateResponse(make))).json() == {"a": 1}
    assert copy.copy(LateResponse(make)).json() == {"a": 1}
    assert repr(LateResponse(make)) == "<Response [200 OK]>"
    with pytest.raises(AttributeError, match="nothing"):
        _ = LateResponse(make).nothing


def test_nothing_is_left_of_a_call(client):
    """No cycle that only the garbage collector would find."""
    ask(client)
    gc.collect()
    gc.disable()
    try:
        ask(client)
        list(ask(client, stream=True))
        assert gc.collect() < 50
    finally:
        gc.enable()
