"""The parts for a transport of one's own over HTTP: with them a few lines serve every mode of every client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

import llmstack
from llmstack import Call, Flow, Incoming, Reply, Stack
from llmstack.errors import UnsupportedError
from llmstack.events import CallFinished
from llmstack.middleware import Retry
from llmstack.testing import FakeClock, LocalServer, Recorder
from llmstack.transports import Place, guarded, outgoing, round_trip
from tests.clients.differential import KEY
from tests.transports.own_rig import OUTER, chat


class Plain:
    """A transport over a plain HTTP client."""

    name = "plain"

    def __init__(self, base_url: str) -> None:
        self.place = Place(base_url)
        self.sync = guarded(httpx2.Client())
        self.asynchronous = guarded(httpx2.AsyncClient())

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        request = outgoing(call, self.place.base_url, headers={"authorization": f"Bearer {KEY}"})
        return (
            yield from round_trip(
                call,
                lambda: self.sync.send(request, stream=True),
                lambda: self.asynchronous.send(request, stream=True),
            )
        )

    def close(self) -> None:
        self.sync.close()

    async def aclose(self) -> None:
        self.sync.close()
        await self.asynchronous.aclose()


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[llmstack.OpenAI]:
    with Stack([], transport=Plain(server.base_url)) as stack, llmstack.OpenAI(stack=stack, **OUTER) as client:
        yield client


class City(BaseModel):
    name: str


def test_every_mode(server: LocalServer, client: llmstack.OpenAI) -> None:
    """Plain, parsed, streamed, raw, read lazily."""
    create = client.chat.completions.create
    assert create(**chat()).choices[0].message.content == "You said: Hi"
    parsed = client.chat.completions.parse(**chat("Rome"), response_format=City).choices[0].message.parsed
    assert parsed == City(name="Rome")
    pieces = [chunk.choices[0].delta.content or "" for chunk in create(**chat(stream=True))]
    assert "".join(pieces) == "You said: Hi"
    raw = client.chat.completions.with_raw_response.create(**chat())
    assert (raw.status_code, raw.parse().choices[0].message.content) == (200, "You said: Hi")
    with client.chat.completions.with_streaming_response.create(**chat()) as response:
        assert b"".join(response.iter_bytes()).startswith(b"{")
    with client.audio.speech.with_streaming_response.create(model="m", voice="alloy", input="Hi") as speech:
        assert speech.read()
    assert [model.id for model in client.models.list(extra_query={"a": ["1", "2"]})]
    assert server.requests[-1].query == {"a[]": "2"}


async def test_every_mode_async(server: LocalServer) -> None:
    """The same on both event loops."""
    async with Stack([], transport=Plain(server.base_url)) as stack:
        client = llmstack.AsyncOpenAI(stack=stack, **OUTER)
        create = client.chat.completions.create
        assert (await create(**chat())).choices[0].message.content == "You said: Hi"
        stream = await create(**chat(stream=True))
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "You said: Hi"
        async with client.chat.completions.with_streaming_response.create(**chat()) as response:
            assert (await response.parse()).choices[0].message.content == "You said: Hi"
        server.next(404, message="no such model")
        with pytest.raises(openai.NotFoundError, match="no such model"):
            await create(**chat())
        await client.close()
    server.wait_for(lambda server: server.open_connections == 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
        (302, openai.APIStatusError),
    ],
)
def test_a_status_is_the_sdks_error(server: LocalServer, client: Any, status: int, kind: type, *, stream: bool) -> None:
    """With its body, its request id and its response."""
    server.next(status, body={"error": {"message": "no", "code": "odd"}})
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**chat(stream=stream))
    assert type(caught.value) is kind
    assert (caught.value.status_code, caught.value.code, caught.value.body["message"]) == (status, "odd", "no")
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"fault": "close"}, openai.APIConnectionError),
        ({"fault": "bad_length"}, openai.APIConnectionError),
        ({"fault": "hang"}, openai.APITimeoutError),
    ],
)
def test_a_lost_connection_is_the_sdks_error(server: LocalServer, client: Any, fault: Any, kind: type) -> None:
    """Caused by the HTTP library's, so that one can tell whether it was sent."""
    server.next(**fault)
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**chat(), timeout=0.2)
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, httpx2.RequestError)


def test_a_broken_stream_is_the_sdks_error(server: LocalServer, client: llmstack.OpenAI) -> None:
    """After what came before it."""
    server.next(fault="reset", after=3)
    stream = client.chat.completions.create(**chat("one two three four five", stream=True))
    with pytest.raises(openai.APIConnectionError):
        list(stream)
    server.next(fault="error_event", after=1)
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**chat(stream=True)))


def test_layers_and_observers_see_it_as_any_other(server: LocalServer) -> None:
    """Retries, hosts, usage."""
    recorder = Recorder()
    with Stack([Retry(), recorder], transport=Plain(server.base_url), clock=FakeClock()) as stack:
        client = llmstack.OpenAI(stack=stack, **OUTER)
        server.next(503)
        server.next(fault="cut", after=0)
        assert client.chat.completions.create(**chat()).id
        pieces = list(client.chat.completions.create(**chat(stream=True)))
    assert pieces
    whole, streamed = recorder.of(CallFinished)
    assert (whole.attempts, whole.outcome, streamed.outcome) == (3, "ok", "ok")
    assert whole.usage is not None
    assert {event.call.host for event in recorder.events} == {f"127.0.0.1:{server.port}"}


def test_nothing_of_the_clients_account_is_in_the_request(server: LocalServer, client: llmstack.OpenAI) -> None:
    """Nor keys of the call; all else of the call is."""
    client.chat.completions.create(
        **chat(),
        extra_headers={"api-key": "call-not-a-key", "x-mine": "1", "x-none": openai.Omit()},
        extra_query={"q": "1", "token": "call-not-a-key"},
        extra_body={"top_k": 2},
    )
    request = server.requests[0]
    said = f"{request.headers} {request.query}"
    assert not [word for word in ("outer", "call-not-a-key", "org-", "x-none", "x-llmstack") if word in said]
    assert (request.headers["x-mine"], request.query, request.json["top_k"]) == ("1", {"q": "1"}, 2)
    assert request.headers["content-type"] == "application/json"


def test_a_deadline_binds_a_guarded_client(server: LocalServer, client: llmstack.OpenAI) -> None:
    """Also against a server that sends a byte now and then; and one that has passed sends nothing."""
    server.next(fault="drip", part="body", interval=0.02)
    with llmstack.options(deadline=0.3), pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**chat("word " * 100))
    count = server.count()
    call = Call(path="/models", endpoint="models", method="GET", deadline=1.0)
    call.progress.now = lambda: 2.0
    with pytest.raises(openai.APITimeoutError):
        outgoing(call, server.base_url)
    assert server.count() == count


def test_a_silent_stream_ends_at_the_idle_time_out(server: LocalServer, client: llmstack.OpenAI) -> None:
    """That the program has set for its streams."""
    server.next(fault="stall", after=2)
    with llmstack.options(idle_timeout=0.2), pytest.raises(openai.APITimeoutError):
        list(client.chat.completions.create(**chat("one two three", stream=True)))


def test_an_upload_and_a_foreign_address_are_refused(server: LocalServer, client: llmstack.OpenAI) -> None:
    """These parts are for JSON, and for one place."""
    with pytest.raises(UnsupportedError, match="sends JSON only"):
        client.files.create(file=("a.txt", b"x"), purpose="batch")
    with pytest.raises(UnsupportedError, match="names an address"):
        client.get("http://third.invalid/v1/models", cast_to=object)
    assert server.count() == 0


def test_a_call_made_by_hand_can_be_written_down() -> None:
    """It needs no client."""
    body, query = {"model": "m"}, {"a": "1"}
    call = Call(path="/chat/completions", endpoint="chat.completions", params=body, query=query, timeout=3)
    request = outgoing(call, "https://llm.example.com/v1/", headers={"authorization": "Bearer x"})
    assert str(request.url) == "https://llm.example.com/v1/chat/completions?a=1"
    assert request.content == b'{"model":"m"}'
    assert request.extensions["timeout"]["read"] == 3
