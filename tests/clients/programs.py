"""The programs of more than one call that are compared: the SDK's helpers, pages, and requests made by hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
import openai
import pydantic

from llmstack.testing.local_server import TOOL_MARKER
from tests.clients.calls import BATCH, FILE, JOB, MODEL, STORED, WEATHER, chat, found, made
from tests.clients.differential import Attempt, Items, Within

T = TypeVar("T")
Steps = Generator[Any, Any, Any]


@dataclass(frozen=True)
class Script:
    """A program and the arguments of its client."""

    play: Callable[[Any], Steps]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the test is called."""
        return self.play.__name__.replace("_", " ")


class City(pydantic.BaseModel):
    """Structured output."""

    name: str


class Anything(openai.BaseModel):
    """A program's own type for an answer."""

    id: str
    object: str = ""


class OwnStream(openai.Stream[T]):
    """A program's own stream class."""


class OwnAsyncStream(openai.AsyncStream[T]):
    """The same for async clients."""


def is_async(client: Any) -> bool:
    return isinstance(client, openai.AsyncOpenAI)


def own_stream(client: Any) -> Any:
    return OwnAsyncStream if is_async(client) else OwnStream


def prepared(client: Any, *calls: Any) -> Steps:
    """Make what a program needs."""
    for path, arguments in calls:
        yield found(client, path)(**made(arguments))


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


# Pages ---------------------------------------------------------------------------------------------------------------


def pages_iterated(client: Any) -> Steps:
    yield from prepared(client, *[FILE] * 5)
    yield Items(client.files.list(limit=2))
    yield Items(client.files.list(limit=2, order="asc", extra_headers={"x-mine": "1"}))


def pages_turned_by_hand(client: Any) -> Steps:
    yield from prepared(client, *[FILE] * 3)
    page = yield client.files.list(limit=2)
    yield page.has_next_page()
    yield page.next_page_info().params
    page = yield page.get_next_page()
    yield page.has_next_page()
    first = yield client.files.list(limit=2)
    yield Items(first.iter_pages())


def pages_raw(client: Any) -> Steps:
    yield from prepared(client, *[FILE] * 3)
    response = yield client.files.with_raw_response.list(limit=2)
    page = yield response.parse()
    page = yield page.get_next_page()
    yield Items(page)


def pages_of_everything(client: Any) -> Steps:
    yield from prepared(client, FILE, BATCH, JOB, STORED, STORED)
    yield Items(client.models.list())
    yield Items(client.batches.list(limit=1))
    yield Items(client.fine_tuning.jobs.list(limit=1))
    yield Items(client.fine_tuning.jobs.list_events("ftjob-1", limit=1))
    yield Items(client.chat.completions.list(limit=1))


# Files ---------------------------------------------------------------------------------------------------------------


def files_and_back(client: Any) -> Steps:
    content = bytes(range(256)) + b"\r\n--boundary--\r\n"
    file = yield client.files.create(file=io.BytesIO(content), purpose="batch")
    back = yield client.files.content(file.id)
    yield back.content
    yield back.text
    yield back.aread() if is_async(client) else back.read()
    pieces = yield back.aiter_bytes(100) if is_async(client) else back.iter_bytes(100)
    yield Items(pieces)
    yield client.files.wait_for_processing(file.id)
    yield client.files.delete(file.id)
    yield Attempt(lambda: client.files.content(file.id))


def binary_streamed(client: Any) -> Steps:
    def read(response: Any) -> Steps:
        pieces = yield Items(response.iter_bytes(7))
        yield b"".join(pieces)
        yield response

    speech = {"model": "tts", "voice": "alloy", "input": "Hello there"}
    yield Within(client.audio.speech.with_streaming_response.create(**speech), read)

    def peek(response: Any) -> Steps:
        yield response.read()
        yield response

    yield Within(client.audio.speech.with_streaming_response.create(**speech), peek)

    def nothing(response: Any) -> Steps:
        yield response.status_code

    yield Within(client.audio.speech.with_streaming_response.create(**speech), nothing)


def uploads(client: Any) -> Steps:
    upload = yield client.uploads.create(bytes=6, filename="a.jsonl", mime_type="text/jsonl", purpose="batch")
    first = yield client.uploads.parts.create(upload.id, data=b"def")
    second = yield client.uploads.parts.create(upload.id, data=io.BytesIO(b"abc"))
    done = yield client.uploads.complete(upload.id, part_ids=[second.id, first.id])
    content = yield client.files.content(done.file.id)
    yield content.content


def upload_in_chunks(client: Any) -> Steps:
    yield client.uploads.upload_file_chunked(
        file=b"x" * 10, filename="a.txt", bytes=10, mime_type="text/plain", purpose="batch", part_size=4
    )


def vector_stores(client: Any) -> Steps:
    yield from prepared(client, FILE)
    store = yield client.vector_stores.create(name="notes")
    added = yield client.vector_stores.files.create_and_poll("file-1", vector_store_id=store.id)
    yield client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("b.txt", b"lazy dog"))
    yield Items(client.vector_stores.files.list(store.id, limit=1))
    yield Items(client.vector_stores.files.content(added.id, vector_store_id=store.id))
    yield Items(client.vector_stores.search(store.id, query="quick answers"))
    yield client.vector_stores.retrieve(store.id)
    yield client.vector_stores.delete(store.id)


def file_batches(client: Any) -> Steps:
    store = yield client.vector_stores.create(name="notes")
    # One file: in which order several are sent, and so named, the SDK leaves to its threads.
    batch = yield client.vector_stores.file_batches.upload_and_poll(store.id, files=[("a.txt", b"text")])
    yield Items(client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id))


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


# By hand -------------------------------------------------------------------------------------------------------------


# ruff: noqa: PLW0108 -- called where the program is played, not here


def requests_by_hand(client: Any) -> Steps:
    body = chat()
    yield Attempt(lambda: client.post("/chat/completions", cast_to=object, body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=dict[str, Any], body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=str, body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=httpx2.Response, body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=type(None), body=body))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, content=b'{"model": "m", "messages": []}'))
    yield Attempt(lambda: client.get("/models", cast_to=httpx2.Response))
    yield Attempt(lambda: client.get("/models/m?x=1", cast_to=Anything, options={"params": {"y": [1, 2]}}))
    yield Attempt(lambda: client.delete("/models/ft:gpt:test::1", cast_to=object))
    yield Attempt(lambda: client.put("/models", cast_to=object, body={}))
    yield Attempt(lambda: client.patch("/models", cast_to=object, body=[1]))
    yield Attempt(lambda: client.post("/x", cast_to=object, body={"a": None}))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=[1, 2]))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=object))
    yield Attempt(lambda: client.get("/models", cast_to=3))


def streams_by_hand(client: Any) -> Steps:
    own: Any = own_stream(client)
    body = chat(stream=True)
    post = client.post
    yield Attempt(lambda: post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=own))
    for kind in (own[Anything], own[dict[str, Any]]):
        stream = yield post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=kind)
        yield isinstance(stream, own)
        yield Items(stream)
    stream = yield client.post("/chat/completions", cast_to=Anything, body=body, stream=True)
    yield Items(stream)
    response = yield client.chat.completions.with_raw_response.create(**body)
    base: Any = openai.AsyncStream if is_async(client) else openai.Stream
    yield Items(response.parse(to=base[Anything]))
    response = yield client.chat.completions.with_raw_response.create(**body)
    yield response.http_response
    raw = response.http_response
    pieces = yield Items(raw.aiter_raw() if is_async(client) else raw.iter_raw())
    yield b"".join(pieces)
    yield raw
    stream = yield client.post("/chat/completions", cast_to=httpx2.Response, body=body, stream=True, stream_cls=own)
    yield Items(stream.aiter_lines() if is_async(client) else stream.iter_lines())


def what_is_said_per_call(client: Any) -> Steps:
    create = client.chat.completions.create
    yield Attempt(lambda: create(**chat(), extra_headers={"x-mine": "1", "X-Stainless-Read-Timeout": "7"}))
    yield Attempt(
        lambda: create(**chat(), extra_headers={"authorization": "Bearer other", "user-agent": openai.Omit()})
    )
    yield Attempt(lambda: create(**chat(), extra_query={"a": "1", "b": [1, 2], "c": {"d": True}, "e": None}))
    yield Attempt(lambda: create(**chat(), extra_body={"top_k": 3, "nested": {"a": [1]}, "temperature": 1}))
    yield Attempt(lambda: create(**chat(temperature=0), extra_body={"temperature": 1, "model": "other"}))
    yield Attempt(lambda: create(**chat(), timeout=7))
    yield Attempt(lambda: create(**chat(), timeout=None))
    yield Attempt(lambda: create(**chat(), timeout=openai.Timeout(9, connect=1)))
    yield Attempt(lambda: create(**chat(), timeout=httpx2.Timeout(9, connect=1)))
    yield Attempt(lambda: create(**chat(stop=None, seed=openai.omit, top_p=openai.NOT_GIVEN)))
    options = {"idempotency_key": "my-key", "timeout": 3, "max_retries": 1, "follow_redirects": False}
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=chat(), options=options))
    yield Attempt(
        lambda: client.post("/chat/completions", cast_to=Anything, body=chat(), options={"extra_json": {"a": 1}})
    )
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=None, options={"extra_json": chat()}))
    yield Attempt(lambda: client.post("/chat/completions", cast_to=Anything, body=[1], options={"extra_json": chat()}))
    yield Attempt(lambda: create(messages=iter([{"role": "user", "content": "once"}]), model=MODEL))
    yield Attempt(lambda: create(messages=[], model=MODEL, extra_headers={"bad header": "x\ny"}))
    yield Attempt(lambda: create(model=MODEL))


def what_is_said_to_copies(client: Any) -> Steps:
    yield Attempt(lambda: client.with_options(timeout=5).chat.completions.create(**chat()))
    yield Attempt(lambda: client.copy(default_headers={"x-a": "1"}).copy(default_headers={"x-b": "2"}).models.list())
    yield Attempt(
        lambda: client.copy(default_headers={"x-a": "1"}).copy(set_default_headers={"x-c": "3"}).models.list()
    )
    yield Attempt(lambda: client.with_options(default_query={"a": "1"}).models.list())
    yield Attempt(
        lambda: client.with_options(default_query={"a": "1"}, organization="org", project="proj").models.retrieve("m")
    )
    yield Attempt(lambda: client.with_options(api_key="sk-test-other").models.retrieve("m"))
    yield Attempt(
        lambda: client.with_options(base_url=client.base_url.copy_with(path="/v1/nowhere/")).models.retrieve("m")
    )


def strict_validation(client: Any) -> Steps:
    yield Attempt(lambda: client.chat.completions.create(**chat()))
    yield Attempt(lambda: client.chat.completions.parse(**chat("Rome", response_format=City)))
    stream = yield client.chat.completions.create(**chat(stream=True))
    yield Items(stream)
    yield Attempt(lambda: client.post("/chat/completions", cast_to=openai.types.Embedding, body=chat()))
    yield Attempt(lambda: client.models.list())


def defaults_of_the_client(client: Any) -> Steps:
    yield client.chat.completions.create(**chat())
    yield client.models.retrieve("m", extra_query={"z": "2"})
    yield client.models.retrieve("m", extra_headers={"X-Mine": "2", "openai-project": "other"})


SCRIPTS: tuple[Script, ...] = (
    Script(chat_parse),
    Script(chat_stream_helper),
    Script(chat_stream_helper_left_early),
    Script(stream_left_early),
    Script(stream_as_context_manager),
    Script(responses_parse),
    Script(responses_stream_helper),
    Script(pages_iterated),
    Script(pages_turned_by_hand),
    Script(pages_raw),
    Script(pages_of_everything),
    Script(files_and_back),
    Script(binary_streamed),
    Script(uploads),
    Script(upload_in_chunks),
    Script(vector_stores),
    Script(file_batches),
    Script(runs_polled),
    Script(runs_streamed),
    Script(requests_by_hand),
    Script(streams_by_hand),
    Script(what_is_said_per_call),
    Script(what_is_said_to_copies),
    Script(strict_validation, {"_strict_response_validation": True}),
    Script(
        defaults_of_the_client,
        {
            "timeout": 30,
            "organization": "org-1",
            "project": "proj-1",
            "default_headers": {"x-mine": "1", "User-Agent": "mine"},
            "default_query": {"q": "1"},
        },
    ),
)
