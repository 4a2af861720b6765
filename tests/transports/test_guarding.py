"""HTTP clients whose connections obey deadlines: which, and from where."""

import os
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.testing import LocalServer
from llmstack.transports.deadline import limited
from llmstack.transports.guarding import guarded

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def server():
    """A server of its own for each test."""
    with LocalServer() as server:
        yield server


def test_guarding_twice_is_guarding_once():
    """A program may hand the same HTTP client to several of ours."""
    http = httpx2.Client()
    pool: Any = guarded(http)._transport._pool  # type: ignore[attr-defined] # noqa: SLF001 - as the code looks behind it
    backend = pool._network_backend  # noqa: SLF001
    guarded(http)
    assert pool._network_backend is backend  # noqa: SLF001
    http.close()


def test_what_has_no_network_is_left_alone():
    """A mock."""
    mock = httpx2.MockTransport(lambda _: httpx2.Response(200))
    http = guarded(httpx2.Client(transport=mock))
    assert http._transport is mock  # noqa: SLF001 - nothing public tells
    assert http.get("http://scripted.invalid/", timeout=limited(None, lambda: 3.0)).status_code == 200
    http.close()


def test_an_http_client_of_the_programs_own_is_guarded(server):
    """A server that never ends its headers does not outlive the call's deadline. (It would take a minute.)"""
    server.next(fault="drip", part="headers", interval=0.5, times=None)
    with (
        httpx2.Client() as http,
        OpenAI(base_url=server.base_url, api_key="sk-test-not-a-key", http_client=http, stack=Stack([])) as client,
        llmstack.options(deadline=0.2),
        pytest.raises(openai.APITimeoutError),
    ):
        client.with_options(max_retries=0).chat.completions.create(**ASK)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_of_aiohttp_is_guarded_too(server):
    """Once, however often it is given to a client."""
    pytest.importorskip("aiohttp")
    server.next(fault="drip", part="headers", interval=0.5, times=None)
    async with openai.DefaultAioHttpClient() as http:
        given: Any = {
            "base_url": server.base_url,
            "api_key": "sk-test-not-a-key",
            "http_client": http,
            "max_retries": 0,
        }
        client = AsyncOpenAI(stack=Stack([]), **given)
        kind = type(http._transport)  # noqa: SLF001 - as the code looks behind it
        AsyncOpenAI(stack=Stack([]), **given)
        assert type(http._transport) is kind  # noqa: SLF001
        with llmstack.options(deadline=0.2), pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(**ASK)


async def test_the_connections_of_each_event_loop_are_guarded(server):
    """Of the first and of any other."""
    server.next(fault="drip", part="headers", interval=0.5, times=None)
    client = AsyncOpenAI(base_url=server.base_url, api_key="sk-test-not-a-key", stack=Stack([]), max_retries=0)
    async with client:
        with llmstack.options(deadline=0.2), pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(**ASK)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_the_connections_of_a_forked_process_are_guarded(server):
    """They are new ones."""
    with OpenAI(base_url=server.base_url, api_key="sk-test-not-a-key", stack=Stack([]), max_retries=0) as client:
        client.models.list()
        server.next(fault="drip", part="headers", interval=0.5, times=None)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with llmstack.options(deadline=0.2):
                    client.chat.completions.create(**ASK)
            except openai.APITimeoutError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
