"""Programs with the SDK's helpers, of chat, responses and assistants."""

from __future__ import annotations

from typing import Any

import openai

from llmstack.testing.local_server import TOOL_MARKER
from tests.clients.calls import MODEL, WEATHER, chat
from tests.clients.differential import Items, Within
from tests.clients.program_steps import City, Steps, is_async

# Helpers of chat and responses ---------------------------------------------------------------------------------------


def chat_parse(client: Any) -> Steps:
    yield client.chat.completions.parse(**chat("Rome", response_format=City))
    tool = openai.pydantic_function_tool(City)
    yield client.chat.completions.parse(**chat(f"{TOOL_MARKER} Rome", tools=[tool]))


def chat_stream_helper(client: Any) -> Steps:
    def read(stream: Any) -> Steps:
        yield Items(stream)
        yield stream.get_final_completion()

    yield Within(client.chat.completions.stream(**chat("Rome", response_format=City)), read)
    yield Within(client.chat.completions.stream(**chat(n=2, stream_options={"include_usage": True})), read)
    yield Within(client.chat.completions.stream(**chat(f"{TOOL_MARKER} Rome", tools=[WEATHER])), read)


def chat_stream_helper_left_early(client: Any) -> Steps:
    def read(stream: Any) -> Steps:
        yield stream.__anext__() if is_async(client) else stream.__next__()

    yield Within(client.chat.completions.stream(**chat()), read)
    yield client.chat.completions.create(**chat())


def stream_left_early(client: Any) -> Steps:
    stream = yield client.chat.completions.create(**chat(stream=True))
    yield stream.__anext__() if is_async(client) else stream.__next__()
    yield stream.close()
    yield stream
    yield client.chat.completions.create(**chat())


def stream_as_context_manager(client: Any) -> Steps:
    def read(stream: Any) -> Steps:
        yield Items(stream)

    stream = yield client.chat.completions.create(**chat(stream=True))
    yield Within(stream, read)
    yield stream


def responses_parse(client: Any) -> Steps:
    yield client.responses.parse(model=MODEL, input="Rome", text_format=City)


def responses_stream_helper(client: Any) -> Steps:
    def read(stream: Any) -> Steps:
        yield Items(stream)
        yield stream.get_final_response()

    yield Within(client.responses.stream(model=MODEL, input="Rome", text_format=City), read)
    made = yield client.responses.create(model=MODEL, input="Hello there")
    yield Within(client.responses.stream(response_id=made.id, starting_after=4), read)


# Assistants ----------------------------------------------------------------------------------------------------------


def runs_polled(client: Any) -> Steps:
    assistant = yield client.beta.assistants.create(model=MODEL, name="Ada", instructions="Be brief.")
    thread = yield client.beta.threads.create(messages=[{"role": "user", "content": "Hi"}])
    run = yield client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    yield client.beta.threads.runs.retrieve(run.id, thread_id=thread.id)
    yield Items(client.beta.threads.messages.list(thread.id))
    yield Items(client.beta.threads.runs.steps.list(run.id, thread_id=thread.id))
    yield client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hi"}]}
    )
    yield client.beta.threads.delete(thread.id)
    yield client.beta.assistants.delete(assistant.id)


def runs_streamed(client: Any) -> Steps:
    assistant = yield client.beta.assistants.create(model=MODEL)
    thread = yield client.beta.threads.create(messages=[{"role": "user", "content": "Hi"}])

    def read(stream: Any) -> Steps:
        yield Items(stream)
        yield stream.get_final_run()
        yield stream.get_final_messages()

    yield Within(client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id), read)
