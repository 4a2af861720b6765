"""The transport of the SDK's own connection."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import llmstack
import llmstack.errors
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.testing import LocalServer
from llmstack.transports import OpenAITransport
from tests.clients.calls import chat

KEY = "sk-test-not-a-key"


def test_a_dropped_response_is_not_kept() -> None:
    """Nothing of ours makes a cycle with it: its connection goes back without the garbage collector."""
    with (
        LocalServer() as server,
        llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([])) as client,
    ):
        gc.disable()
        try:
            raw = client.chat.completions.with_raw_response.create(**chat(stream=True))
            response = weakref.ref(raw.http_response)
            del raw
            assert response() is None
        finally:
            gc.enable()
        server.wait_for(lambda server: server.open_connections == 0)


def test_a_call_made_by_hand_cannot_be_sent() -> None:
    """It has no client to send it; the error says so and names the call."""
    flow = OpenAITransport().send(Call(path="/models", endpoint="models"))
    with pytest.raises(llmstack.errors.UnsupportedError, match="made by hand") as caught:
        next(flow)
    assert caught.value.call is not None


def test_a_consumed_body_is_not_sent_again() -> None:
    """By a layer that does not ask `call.replayable`: an error of ours, and one request."""

    def twice(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call)
        return (yield from next(call))

    body: Any = iter([b'{"model": "e", "input": "x"}'])
    with (
        LocalServer() as server,
        llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([twice])) as client,
    ):
        with pytest.raises(llmstack.errors.BodyConsumedError, match="bytes"):
            client.post("/embeddings", cast_to=object, content=body)
        assert server.count() == 1
