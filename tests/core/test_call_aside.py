"""Call.aside: a request of a layer's own, on behalf of a call."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.effects import monotonic, parallel
from llmstack.events import AttemptFinished, CallFinished
from llmstack.hookspecs import hookimpl
from llmstack.middleware import Retry
from llmstack.testing import LocalServer, Recorder

KEY = "sk-test-not-a-key"
GIVEN = {"input": "words to judge"}


class Asks:
    """A layer that asks something beside each call."""

    name = "asks"

    def __init__(self, *, beside: bool = False, deadline: float | None = None) -> None:
        self.beside = beside
        self.deadline = deadline
        self.asides: list[Call] = []
        self.replies: list[Reply] = []

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Ask, and pass on."""
        deadline = None if self.deadline is None else (yield from monotonic()) + self.deadline
        aside = call.aside("moderations", "/moderations", GIVEN, deadline=deadline)
        self.asides.append(aside)
        if self.beside:
            said, reply = yield from parallel(next(aside), next(call))
            self.replies.append(said)
            return reply
        self.replies.append((yield from next(aside)))
        return (yield from next(call))


def client_of(server: LocalServer, *layers: Any, **more: Any) -> llmstack.OpenAI:
    """A client on a local server."""
    return llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack(layers), **more)


def chat(**more: Any) -> dict[str, Any]:
    """A chat call's parameters."""
    return {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}], **more}


def test_it_has_nothing_of_the_calls_body() -> None:
    """Nor its stream, raw mode, filters, query or progress; it is the same call otherwise."""
    call = Call(
        path="/chat/completions",
        endpoint="chat.completions",
        params=chat(stream=True),
        query={"q": "1"},
        headers={"Content-Type": "x", "X-Stainless-Raw-Response": "stream", "Idempotency-Key": "k", "X-Mine": "1"},
        stream=True,
        raw="stream",
        deadline=9.0,
        hold=True,
        strict=True,
        replayable=False,
        filters=(lambda _: pytest.fail("made"),),
    )
    call.progress.committed = True
    aside = call.aside("moderations", "/moderations", GIVEN)
    assert (aside.method, aside.path, aside.endpoint, aside.params) == ("POST", "/moderations", "moderations", GIVEN)
    assert (aside.stream, aside.raw, aside.hold, aside.strict, aside.filters) == (False, "", False, False, ())
    assert (dict(aside.query), dict(aside.headers)) == ({}, {"X-Mine": "1"})
    assert (aside.replayable, aside.deadline, aside.id) == (True, 9.0, call.id)
    assert (aside.committed, call.committed) == (False, True)
    assert call.aside("m", "/m", {}, deadline=3.0).deadline == 3.0


@pytest.mark.parametrize("beside", [False, True])
def test_the_call_is_sent_as_if_there_were_none(server: LocalServer, beside: bool) -> None:  # noqa: FBT001
    """Body, headers and number of retries are those of the call alone; each request is an attempt of its own."""
    recorder, layer = Recorder(), Asks(beside=beside)
    with client_of(server, layer, Retry(), recorder, default_headers={"X-Client": "c"}) as client:
        client.chat.completions.create(**chat(), extra_headers={"X-Mine": "1"}, extra_query={"q": "2"})
    by_path = {request.path.removeprefix("/v1"): request for request in server.requests}
    own, call = by_path["/moderations"], by_path["/chat/completions"]
    assert own.json == GIVEN
    assert call.json == chat()
    assert {own.headers["x-stainless-retry-count"], call.headers["x-stainless-retry-count"]} == {"0"}
    assert own.headers["authorization"] == call.headers["authorization"] == f"Bearer {KEY}"
    assert own.headers["x-mine"] == call.headers["x-mine"] == "1"
    assert own.headers["x-client"] == "c"
    assert sorted(event.number for event in recorder.of(AttemptFinished)) == [1, 2]
    assert [event.attempts for event in recorder.of(CallFinished)] == [2]


def test_its_retries_are_not_the_calls(server: LocalServer) -> None:
    """The count of retries that a server is told is each request's own."""
    server.next(503, path="/moderations", headers={"retry-after-ms": "1"})
    with client_of(server, Asks(), Retry()) as client:
        client.chat.completions.create(**chat())
    counts = [
        (request.path.removeprefix("/v1"), request.headers["x-stainless-retry-count"]) for request in server.requests
    ]
    assert counts == [("/moderations", "0"), ("/moderations", "1"), ("/chat/completions", "0")]


def test_it_goes_beside_files_and_raw_modes(server: LocalServer) -> None:
    """A body of files is neither read nor sent by it, and its answer is read whole."""
    layer = Asks()
    with client_of(server, layer) as client:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))
        with client.chat.completions.with_streaming_response.create(**chat()) as response:
            assert response.json()  # type: ignore[no-untyped-call]
        assert list(client.chat.completions.create(**chat(stream=True)))
    own = [request for request in server.requests if request.path.endswith("/moderations")]
    assert [request.json for request in own] == [GIVEN] * 3
    assert {request.headers["content-type"] for request in own} == {"application/json"}
    assert all(isinstance(reply.body, dict) for reply in layer.replies)
    assert b"RIFF" in next(
        request.body for request in server.requests if request.path.endswith("/audio/transcriptions")
    )


def test_it_obeys_its_deadline(server: LocalServer) -> None:
    """Which may be sooner than the call's."""
    gate = server.gate(path="/moderations")
    try:
        with client_of(server, Asks(deadline=0.1)) as client, pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**chat())
    finally:
        gate.release()
    assert server.count("/chat/completions") == 0


def test_its_error_passes_the_layers_as_the_calls_own_does(server: LocalServer) -> None:
    """It comes from below, and is not of a layer's making."""
    server.next(401, path="/moderations")
    with client_of(server, Asks()) as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(**chat())
    assert server.count("/chat/completions") == 0


def test_it_has_an_idempotency_key_of_its_own(server: LocalServer) -> None:
    """Where the client sends one: a server may take the same key for a repetition, whatever is in it."""

    class Mine(llmstack.OpenAI):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._idempotency_header = "Idempotency-Key"

    with Mine(base_url=server.base_url, api_key=KEY, stack=Stack([Asks()])) as client:
        client.chat.completions.create(**chat())
    first, second = (request.headers["idempotency-key"] for request in server.requests)
    assert first != second
