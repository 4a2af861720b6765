"""Answers of a test's own, and the record of what was asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from llmstack.testing.local_server import LocalServer, ReceivedRequest

MODEL = "gpt-5-mini"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
KEY = "sk-test-not-a-key"


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def chunk(text: str, finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def test_a_script_answers(server: LocalServer, client: OpenAI) -> None:
    """A dict is a document, a list a stream, ``None`` the usual answer."""

    def answer(request: ReceivedRequest) -> dict[str, Any] | list[Any] | None:
        if request.path.endswith("/models"):
            return None
        return [chunk("a"), chunk("b", "stop")] if request.json.get("stream") else {"choices": [], "id": "mine"}

    server.script(answer)
    assert client.chat.completions.create(model=MODEL, messages=HELLO).id == "mine"
    chunks = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert [one.choices[0].delta.content for one in chunks] == ["a", "b"]
    assert client.models.list().data
    server.script(None)
    assert client.chat.completions.create(model=MODEL, messages=HELLO).id == "chatcmpl-1"


def test_scripted_events_have_names(server: LocalServer, client: OpenAI) -> None:
    """By their type, or as they say; strings go out as they are."""
    failed = {"type": "error", "code": "server_error", "message": "No.", "param": None, "sequence_number": 0}
    server.script(lambda _: [failed])
    assert [event.type for event in client.responses.create(model=MODEL, input="Hi", stream=True)] == ["error"]
    server.script(lambda _: [{"event": "own", "data": chunk("a")}, "[DONE]"])
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, stream=True)
    text = raw.http_response.read().decode()
    assert text.startswith("event: own\ndata: {")
    assert text.endswith("data: [DONE]\n\n")
    assert text.count("[DONE]") == 1


def test_faults_act_on_scripted_answers(server: LocalServer, client: OpenAI) -> None:
    """The order alters what the script said."""
    server.script(lambda _: [chunk("a"), chunk("b", "stop")])
    server.next(fault="no_finish")
    chunks = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert [one.choices[0].delta.content for one in chunks] == ["a"]


def test_a_script_that_raises_is_seen(server: LocalServer, client: OpenAI) -> None:
    """As a 500 that names the exception."""

    def broken(_: ReceivedRequest) -> None:
        msg = "no such luck"
        raise KeyError(msg)

    server.script(broken)
    with pytest.raises(openai.InternalServerError, match=r"KeyError.*no such luck"):
        client.models.list()


def test_requests_are_recorded(server: LocalServer, client: OpenAI) -> None:
    """As they arrived, in order, by connection."""
    client.chat.completions.create(model=MODEL, messages=HELLO, extra_query={"a": "b c"}, extra_headers={"X-One": "1"})
    client.models.list()
    first, second = server.requests
    assert (first.method, first.path, first.query) == ("POST", "/v1/chat/completions", {"a": "b c"})
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.headers["x-one"] == "1"
    assert first.json == {"model": MODEL, "messages": HELLO}
    assert (second.method, second.body, second.json) == ("GET", b"", None)
    assert first.connection == second.connection == 1
    assert first.at <= second.at
    assert (server.count(), server.count("/models"), server.count("/nothing")) == (2, 1, 0)
    server.reset()
    assert (server.count(), server.open_connections) == (0, 1)


def test_a_record_shows_no_secrets(server: LocalServer, client: OpenAI) -> None:
    """Neither key nor prompt are in its ``repr``."""
    client.chat.completions.create(model=MODEL, messages=HELLO)
    shown = repr(server.requests)
    assert "/v1/chat/completions" in shown
    assert KEY not in shown
    assert "Hello" not in shown


def test_a_consumer_that_breaks_out_is_noticed(server: LocalServer, client: OpenAI) -> None:
    """Closing the stream closes the connection, and cuts the answer short."""
    server.gate(after=1)
    chunks = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    next(iter(chunks))
    assert server.open_connections == 1
    chunks.close()
    server.wait_for(lambda s: s.open_connections == 0)
    assert server.disconnects == 1
