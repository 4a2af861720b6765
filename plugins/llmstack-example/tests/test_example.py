"""What the plugin does, in all the ways in which a program may call."""

from typing import Any

import pytest

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.testing import Recorder, ScriptedTransport
from llmstack_example import Example

BRIEF = "Answer in one sentence."
ASKED: Any = {"role": "user", "content": "Hello"}


@pytest.fixture
def transport():
    """Answers without any network."""
    return ScriptedTransport(["Hi there."] * 3)


@pytest.fixture
def recorder():
    """Keeps the events."""
    return Recorder()


@pytest.fixture
def client(transport, recorder):
    """A client of a stack with the plugin."""
    with OpenAI(api_key="sk-test", stack=Stack([recorder, Example(BRIEF)], transport=transport)) as client:
        yield client


def test_instructions_go_in_front(client, transport, recorder):
    """The model is told them before all else, and the books know of it."""
    reply = client.chat.completions.create(model="m", messages=[ASKED])
    assert reply.choices[0].message.content == "Hi there."
    assert transport.calls[0].params["messages"] == [{"role": "system", "content": BRIEF}, ASKED]
    assert recorder.finished.notes["example"] is True


def test_a_stream_is_no_different(client, transport):
    """The same body serves it."""
    chunks = client.chat.completions.create(model="m", messages=[ASKED], stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hi there."
    assert transport.calls[0].params["messages"][0]["content"] == BRIEF


@pytest.mark.anyio
async def test_an_async_program_is_no_different(transport):
    """The same body serves it, on any event loop."""
    async with AsyncOpenAI(api_key="sk-test", stack=Stack([Example(BRIEF)], transport=transport)) as client:
        reply = await client.chat.completions.create(model="m", messages=[ASKED])
    assert reply.choices[0].message.content == "Hi there."
    assert transport.calls[0].params["messages"][0]["content"] == BRIEF


def test_responses_are_told_too(client, transport):
    """In front of what the program says."""
    client.responses.create(model="m", input="Hello", instructions="Be kind.")
    client.responses.create(model="m", input="Hello")
    assert [call.params["instructions"] for call in transport.calls] == [f"{BRIEF}\n\nBe kind.", BRIEF]


def test_what_has_no_place_for_them_stays(recorder):
    """An embedding is told nothing."""
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
    transport = ScriptedTransport([{"object": "list", "model": "m", "data": [vector]}])
    with OpenAI(api_key="sk-test", stack=Stack([recorder, Example(BRIEF)], transport=transport)) as client:
        client.embeddings.create(model="m", input="Hello", encoding_format="float")
    assert transport.calls[0].params == {"model": "m", "input": "Hello", "encoding_format": "float"}
    assert recorder.finished.notes["example"] is False


def test_the_programs_messages_are_not_changed(client):
    """What a program passes in is its own."""
    messages = [ASKED]
    client.chat.completions.create(model="m", messages=messages)
    assert messages == [ASKED]


@pytest.mark.parametrize("wrong", ["", "  "])
def test_instructions_must_be_some(wrong):
    """A mistake in a config is found when the stack is built."""
    with pytest.raises(ValueError, match="instructions must be a text"):
        Example(wrong)
