"""What is known of a request that failed."""

import asyncio
import socket
import ssl
import threading

import httpx2
import openai
import pytest
import trustme

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.testing import LocalServer
from llmstack.transports import Delivery, deadline, delivery

KEY = "sk-test-not-a-key"


@pytest.fixture
def server():
    """A server of its own for each test."""
    with LocalServer() as server:
        yield server


def failure(base_url, **more):
    """The error of one request."""
    with OpenAI(base_url=base_url, api_key=KEY, stack=Stack([]), max_retries=0, **more) as client:
        with pytest.raises(openai.APIError) as caught:
            client.models.retrieve("m")
        return caught.value


def free_port():
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_refused_connection_was_not_sent():
    """Nobody listens."""
    assert delivery(failure(f"http://127.0.0.1:{free_port()}/v1")) is Delivery.NOT_SENT


def test_a_name_that_is_not_found_was_not_sent():
    """There is no such host."""
    assert delivery(failure("http://nowhere.invalid/v1")) is Delivery.NOT_SENT


def test_a_protocol_that_nobody_speaks_was_not_sent():
    """A wrong address."""
    assert delivery(failure("gopher://127.0.0.1/v1")) is Delivery.NOT_SENT


def test_a_certificate_that_is_not_trusted_was_not_sent():
    """The handshake comes before the request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands():
            with listener.accept()[0] as connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=shake_hands)
        thread.start()
        error = failure(f"https://127.0.0.1:{listener.getsockname()[1]}/v1")
        thread.join()
    assert delivery(error) is Delivery.NOT_SENT


async def test_a_call_that_got_no_connection_was_not_sent(server, anyio_backend_name):
    """The pool is exhausted."""
    if anyio_backend_name == "trio":
        pytest.skip("the same HTTP client, other tasks")
    gate = server.gate()
    http = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=1), timeout=httpx2.Timeout(20, pool=0.01))
    async with AsyncOpenAI(
        base_url=server.base_url, api_key=KEY, stack=Stack([]), max_retries=0, http_client=http, timeout=http.timeout
    ) as client:
        first = asyncio.ensure_future(client.models.retrieve("m"))
        await asyncio.to_thread(server.wait_for, lambda server: server.count() == 1)
        with pytest.raises(openai.APITimeoutError) as caught:
            await client.models.retrieve("m")
        gate.release()
        await first
    assert delivery(caught.value) is Delivery.NOT_SENT
    assert server.count() == 1


@pytest.mark.parametrize("fault", ["close", "reset", "garbage", "bad_length", "truncated_json", "hang"])
def test_a_request_without_a_whole_answer_is_unknown(server, fault):
    """It may have been executed."""
    server.next(fault="cut" if fault == "truncated_json" else fault)
    assert (
        delivery(failure(server.base_url, timeout=httpx2.Timeout(20, read=0.1 if fault == "hang" else 20)))
        is Delivery.UNKNOWN
    )


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_an_error_status_is_an_answer(server, status):
    """The server said no."""
    server.next(status)
    assert delivery(failure(server.base_url)) is Delivery.ANSWERED


@pytest.mark.parametrize("fault", ["close", "reset"])
def test_a_kept_connection_that_was_just_closed_is_stale(server, fault):
    """It was lost before anything came back."""
    with OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([]), max_retries=0) as client:
        client.models.list()
        server.next(fault=fault)
        with pytest.raises(openai.APIConnectionError) as caught:
            client.models.list()
    assert delivery(caught.value) is Delivery.STALE


def test_an_answer_that_cannot_be_read_is_unknown(server):
    """It may well have been executed."""
    server.next(fault="html")
    stack = Stack([lambda call, next: (yield from next(call.replace(verify=True)))])
    client = OpenAI(base_url=server.base_url, api_key=KEY, stack=stack, max_retries=0)
    with client, pytest.raises(openai.APIResponseValidationError) as caught:
        client.models.retrieve("m")
    assert delivery(caught.value) is Delivery.UNKNOWN


def test_a_kept_connection_that_closes_later_is_unknown(server, monkeypatch):
    """The server may have worked meanwhile. (Later is here at once.)"""
    monkeypatch.setattr(deadline, "_PROMPT", 0.0)
    with OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([]), max_retries=0) as client:
        client.models.list()
        server.next(fault="close")
        with pytest.raises(openai.APIConnectionError) as caught:
            client.models.list()
    assert delivery(caught.value) is Delivery.UNKNOWN


def test_the_failure_of_another_request_is_not_held_against_this_one(server):
    """A fallback is often made while the first error is being handled."""
    server.next(fault="close")
    try:
        raise failure(f"http://127.0.0.1:{free_port()}/v1")
    except openai.APIConnectionError as error:
        first, second = delivery(error), failure(server.base_url)
    assert first is Delivery.NOT_SENT
    assert delivery(second) is Delivery.UNKNOWN


def test_any_other_error_is_unknown():
    """Nothing is claimed of what nothing is known of."""
    assert delivery(ValueError("?")) is Delivery.UNKNOWN
    assert delivery(openai.APIConnectionError(request=None)) is Delivery.UNKNOWN  # type: ignore[arg-type]
