"""What the SDK has deprecated and programs still use: assistants, variations of images, translations."""
# mypy: disable-error-code="deprecated"
# pyright: reportDeprecated=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from llmstack.testing.local_server import TOOL_MARKER, LocalServer
from tests.testing.asking import MODEL, strict

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def client() -> Iterator[OpenAI]:
    with LocalServer() as server, strict(server) as client:
        yield client


def test_image_variations(client: OpenAI) -> None:
    """Asked for URLs, there are URLs."""
    data = client.images.create_variation(image=("cat.png", b"png", "image/png"), response_format="url").data
    assert data is not None
    assert data[0].url


def test_translations_name_their_file(client: OpenAI) -> None:
    """As transcriptions do."""
    sound = ("talk.mp3", b"sound", "audio/mpeg")
    translation = client.audio.translations.create(model="whisper-1", file=sound)
    assert translation.text == "Transcript of talk.mp3 (5 bytes)"


def test_runs_are_polled_to_their_end(client: OpenAI) -> None:
    """The assistant's message joins the thread."""
    assistant = client.beta.assistants.create(model=MODEL, name="A", instructions="Help.")
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    assert run.status == "completed"
    assert run.usage is not None
    newest = next(iter(client.beta.threads.messages.list(thread.id)))
    assert newest.content[0].type == "text"
    assert newest.content[0].text.value == "You said: Hello"
    steps = list(client.beta.threads.runs.steps.list(run.id, thread_id=thread.id))
    assert steps[0].step_details.type == "message_creation"
    assert steps[0].step_details.message_creation.message_id == newest.id


def test_runs_stream(client: OpenAI) -> None:
    """The SDK's event handler puts messages and steps together."""
    assistant = client.beta.assistants.create(model=MODEL)
    thread = client.beta.threads.create()
    client.beta.threads.messages.create(thread.id, role="user", content="Hello")
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        assert "".join(stream.text_deltas) == "You said: Hello"
        assert stream.get_final_run().status == "completed"
        assert len(stream.get_final_run_steps()) == 1
        assert len(stream.get_final_messages()) == 1
    begun: Any = {"messages": [{"role": "user", "content": "Hi"}]}
    with client.beta.threads.create_and_run_stream(assistant_id=assistant.id, thread=begun) as stream:
        names = [event.event for event in stream]
    assert (names[0], names[-1]) == ("thread.created", "thread.run.completed")


def test_runs_call_tools(client: OpenAI) -> None:
    """The run waits for the output, then goes on."""
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    assistant = client.beta.assistants.create(model=MODEL, tools=[tool])
    begun: Any = {"messages": [{"role": "user", "content": TOOL_MARKER}]}
    run = client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=begun)
    assert run.status == "requires_action"
    assert run.required_action is not None
    wanted = run.required_action.submit_tool_outputs.tool_calls[0]
    output: Any = [{"tool_call_id": wanted.id, "output": "sunny"}]
    with client.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=output
    ) as stream:
        assert "".join(stream.text_deltas) == "Tool said: sunny"


def test_assistants_threads_and_messages_are_resources(client: OpenAI) -> None:
    """Read, changed, listed, deleted, and gone."""
    assistant = client.beta.assistants.create(model=MODEL, metadata={"a": "1"})
    assert client.beta.assistants.update(assistant.id, name="B").name == "B"
    assert [listed.id for listed in client.beta.assistants.list()] == [assistant.id]
    assert client.beta.assistants.delete(assistant.id).deleted
    thread = client.beta.threads.create()
    message = client.beta.threads.messages.create(thread.id, role="user", content="Hi")
    assert client.beta.threads.messages.retrieve(message.id, thread_id=thread.id) == message
    assert client.beta.threads.update(thread.id, metadata={"a": "2"}).metadata == {"a": "2"}
    assert client.beta.threads.delete(thread.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.beta.threads.messages.list(thread.id)


def test_runs_are_cancelled_and_listed(client: OpenAI) -> None:
    """A run that was cancelled stays so."""
    assistant = client.beta.assistants.create(model=MODEL)
    thread = client.beta.threads.create()
    run = client.beta.threads.runs.create(thread.id, assistant_id=assistant.id)
    assert client.beta.threads.runs.cancel(run.id, thread_id=thread.id).status == "cancelled"
    assert client.beta.threads.runs.retrieve(run.id, thread_id=thread.id).status == "cancelled"
    assert [listed.id for listed in client.beta.threads.runs.list(thread.id)] == [run.id]
