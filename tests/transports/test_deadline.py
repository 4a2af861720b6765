"""Deadlines are kept below the HTTP parser, in each connect, read and write."""

import itertools
import socket
import threading
from typing import Any

import httpcore2
import httpx2
import openai
import pytest

import llmstack
from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.testing import LocalServer
from llmstack.transports.deadline import Limit, Stale, limited
from llmstack.transports.guarding import guarded

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
KEY = {"authorization": "Bearer sk-test-not-a-key"}
AGES = 120.0


@pytest.fixture
def server():
    """A server of its own for each test."""
    with LocalServer() as server:
        yield server


class Client:
    """An HTTP client with guarded connections, sync or async, by the same calls."""

    def __init__(self, *, asynchronous):
        self._http = guarded(httpx2.AsyncClient() if asynchronous else httpx2.Client())

    async def send(self, url, left, *, each=None, content=b"{}"):
        """Send a request whose deadline `left` tells of, and whose time-outs are `each`."""
        timeouts = limited(each, left)
        if isinstance(self._http, httpx2.Client):
            return self._http.post(url, content=content, timeout=timeouts, headers=KEY)
        return await self._http.post(url, content=content, timeout=timeouts, headers=KEY)

    async def close(self):
        """Close the connections."""
        if isinstance(self._http, httpx2.Client):
            self._http.close()
        else:
            await self._http.aclose()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
async def client(request):
    """Both kinds."""
    client = Client(asynchronous=request.param)
    yield client
    await client.close()


def steps(*seconds):
    """What is left of the time, asked again and again; the last answer stays."""
    answers = itertools.chain(seconds, itertools.repeat(seconds[-1]))
    return lambda: next(answers)


async def test_a_deadline_that_has_passed_stops_the_connect(client, server):
    """Nothing is sent."""
    with pytest.raises(httpx2.PoolTimeout, match="the deadline of the call has passed"):
        await client.send(f"{server.base_url}/models", lambda: 0.0)
    assert server.count() == 0


@pytest.mark.parametrize("part", ["headers", "body"])
async def test_a_server_that_drips_is_cut_off_when_the_time_is_up(client, server, part):
    """Each read asks anew; no single one takes long. The time is told by a script, so nothing waits for it."""
    gate = server.next(fault="drip", part=part, interval=0.001)
    asked = itertools.count()
    with pytest.raises(httpx2.ReadTimeout):
        await client.send(f"{server.base_url}/chat/completions", lambda: AGES if next(asked) < 30 else 0.0)
    assert next(asked) > 25
    gate.release()


async def test_a_silent_server_is_left_when_the_time_is_up(client, server):
    """In the middle of a read."""
    gate = server.gate()
    with pytest.raises(httpx2.ReadTimeout):
        await client.send(f"{server.base_url}/chat/completions", steps(AGES, AGES, AGES, AGES, 0.05))
    gate.release()


async def test_a_server_that_takes_nothing_is_left_when_the_time_is_up(client):
    """A body larger than the socket's buffers, and nobody who reads it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = []
        thread = threading.Thread(target=lambda: accepted.append(listener.accept()[0]))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        asked = itertools.count()
        # The SDK's HTTP client reads on after a failed write: there may be an answer that says why.
        with pytest.raises((httpx2.WriteTimeout, httpx2.ReadTimeout)):
            await client.send(url, lambda: AGES if next(asked) < 5 else 0.05, content=b"x" * 64_000_000)
        thread.join()
        accepted[0].close()


async def test_each_time_out_still_counts_for_itself(client, server):
    """A read that takes longer than its own time-out, long before the deadline."""
    gate = server.gate()
    with pytest.raises(httpx2.ReadTimeout):
        await client.send(f"{server.base_url}/chat/completions", lambda: AGES, each=httpx2.Timeout(5, read=0.05))
    gate.release()


async def test_an_answer_in_time_is_an_answer(client, server):
    """Nothing else is changed."""
    answer = await client.send(f"{server.base_url}/moderations", lambda: AGES, content=b'{"input": "x"}')
    assert answer.status_code == 200


async def test_a_connection_that_was_just_closed_is_told_from_a_lost_one(client, server):
    """The first request of a connection may have been looked at; a later one was not, if nothing at all came back."""
    url = f"{server.base_url}/moderations"
    server.next(fault="close")
    with pytest.raises(httpx2.RemoteProtocolError) as fresh:
        await client.send(url, lambda: AGES, content=b'{"input": "x"}')
    assert not isinstance(fresh.value.__cause__, Stale)
    await client.send(url, lambda: AGES, content=b'{"input": "x"}')
    server.next(fault="close")
    with pytest.raises(httpx2.RemoteProtocolError, match=r"^Server disconnected without sending a response\.$") as kept:
        await client.send(url, lambda: AGES, content=b'{"input": "x"}')
    assert isinstance(kept.value.__cause__, Stale)


async def test_a_kept_connection_that_is_reset_is_stale_too(client, server):
    """The same with another packet."""
    url = f"{server.base_url}/moderations"
    await client.send(url, lambda: AGES, content=b'{"input": "x"}')
    server.next(fault="reset")
    with pytest.raises(httpx2.ReadError) as caught:
        await client.send(url, lambda: AGES, content=b'{"input": "x"}')
    assert isinstance(caught.value.__cause__, Stale)
    assert isinstance(caught.value.__cause__, httpcore2.ReadError)


def test_a_limit_is_a_number_of_seconds():
    """Of those left when it is made, for whoever does not know more; never 0, by which some mean "at once"."""
    assert Limit(5.0, lambda: 3.0) == 3.0
    assert Limit(2.0, lambda: 3.0) == 2.0
    assert Limit(None, lambda: 3.0) == 3.0
    assert Limit(2.0, lambda: -1.0) == 0.001
    assert limited(None, lambda: 3.0).as_dict() == dict.fromkeys(("connect", "read", "write", "pool"), 3.0)


@pytest.mark.parametrize(
    ("fault", "seconds", "kind"),
    [
        ({"status": 503}, 5, openai.InternalServerError),
        ({"fault": "close"}, 0.3, openai.APIConnectionError),  # its first wait is 0.375 s at least
    ],
)
def test_the_sdks_own_retries_do_not_wait_beyond_the_deadline(server, fault, seconds, kind):
    """Without Retry in the stack they are the SDK's to make; the error is that of the last attempt."""
    server.next(**fault, headers={"retry-after": "60"}, times=None)
    client = OpenAI(base_url=server.base_url, api_key="sk-test-not-a-key", stack=Stack([]), max_retries=5)
    with client, llmstack.options(deadline=seconds), pytest.raises(openai.APIError) as caught:
        client.models.retrieve("m")
    assert type(caught.value) is kind
    assert server.count() == 1


async def test_nor_do_those_of_an_async_client(server):
    """The same."""
    gate = server.gate(times=None)
    client = AsyncOpenAI(base_url=server.base_url, api_key="sk-test-not-a-key", stack=Stack([]), max_retries=5)
    async with client:
        with llmstack.options(deadline=0.5), pytest.raises(openai.APITimeoutError):
            await client.models.retrieve("m")
    assert server.count() == 1
    gate.release()


def test_a_transport_that_tries_again_by_itself_ends_at_the_deadline():
    """It sleeps longer each time: 0, 0.5, 1, 2 seconds."""
    with LocalServer() as gone:
        pass
    tries = []
    transport = httpx2.HTTPTransport(retries=10)
    with httpx2.Client(transport=transport) as http:
        guarded(http)
        transport._pool._network_backend.sleep = tries.append  # type: ignore[attr-defined, method-assign] # noqa: SLF001
        with pytest.raises(httpx2.PoolTimeout):
            http.get(gone.base_url, timeout=limited(None, steps(9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 0.0)))
    assert 0 < len(tries) < 5


def test_what_follows_an_upgrade_is_not_judged():
    """A protocol of its own may end whenever it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with listener.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
                connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        with httpx2.Client() as http:
            guarded(http)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            with http.stream("GET", url, headers={"connection": "upgrade", "upgrade": "x"}) as answer:
                line = answer.extensions["network_stream"]
                line.write(b"hello")
                assert line.read(100) == b""
        thread.join()
