"""The single calls that are compared: one row an endpoint and a way to call it."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from llmstack.testing.local_server import FLAG_MARKER, REFUSAL_MARKER, TOOL_MARKER
from tests.clients.differential import Items, Within

MODEL = "gpt-5-mini"
Arguments = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Call:
    """A method of the client and its arguments, after the calls that make what it needs.

    Attributes:
        name: What the test is called.
        path: Where the method is, such as ``"chat.completions.create"``.
        arguments: Keyword arguments, or a function that makes them anew (open files).
        before: Calls made first, plainly.
        azure: True if Azure serves it too.
        streamed: True if it answers with events.
    """

    name: str
    path: str
    arguments: Arguments
    before: tuple[tuple[str, Arguments], ...] = ()
    azure: bool = False
    streamed: bool = False

    def plain(self, client: Any) -> Generator[Any, Any, Any]:
        """Call it."""
        yield from self._prepared(client)
        result = found(client, self.path)(**made(self.arguments))
        if self.streamed:
            stream = yield result
            yield Items(stream)
            yield stream  # once more, after its end
        else:
            yield result

    def raw(self, client: Any) -> Generator[Any, Any, Any]:
        """Call it ``with_raw_response``."""
        yield from self._prepared(client)
        owner, _, method = self.path.rpartition(".")
        response = yield getattr(found(client, owner).with_raw_response, method)(**made(self.arguments))
        parsed = yield response.parse()
        if self.streamed:
            yield Items(parsed)
        yield response  # once more, after it was read
        yield response.headers.get("x-request-id")

    def streaming(self, client: Any) -> Generator[Any, Any, Any]:
        """Call it ``with_streaming_response``."""
        yield from self._prepared(client)
        owner, _, method = self.path.rpartition(".")
        call = getattr(found(client, owner).with_streaming_response, method)

        def parsed(response: Any) -> Generator[Any, Any, Any]:
            yield response
            value = yield response.parse()
            if self.streamed:
                yield Items(value)

        def bytes_read(response: Any) -> Generator[Any, Any, Any]:
            pieces = yield Items(response.iter_bytes())
            yield b"".join(pieces)

        def text_lines(response: Any) -> Generator[Any, Any, Any]:
            yield Items(response.iter_lines())
            yield response

        for body in (parsed, bytes_read, text_lines):
            yield Within(call(**made(self.arguments)), body)

    def _prepared(self, client: Any) -> Generator[Any, Any, Any]:
        for path, arguments in self.before:
            yield found(client, path)(**made(arguments))


def found(client: Any, path: str) -> Any:
    """The attribute at a dotted path."""
    return reduce(getattr, path.split("."), client)


def made(arguments: Arguments) -> Mapping[str, Any]:
    """The arguments, made anew if they must be."""
    return arguments() if callable(arguments) else arguments


def chat(text: str = "Good morning", **more: Any) -> dict[str, Any]:
    """The arguments of a chat."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
CITY = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
}
FILE = ("files.create", lambda: {"file": ("notes.txt", io.BytesIO(b"the quick fox")), "purpose": "assistants"})
STORE = ("vector_stores.create", {"name": "notes", "file_ids": ["file-1"]})
SOUND = ("talk.mp3", b"\r\n--not-a-boundary\r\n\x00\xff", "audio/mpeg")
PICTURE = ("cat.png", b"\x89PNG\r\n\x1a\n\x00", "image/png")
JOB = ("fine_tuning.jobs.create", {"model": MODEL, "training_file": "file-1"})
BATCH = (
    "batches.create",
    {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"a": "1"}},
)
UPLOAD = ("uploads.create", {"bytes": 6, "filename": "a.jsonl", "mime_type": "text/jsonl", "purpose": "batch"})
STORED = ("chat.completions.create", chat(store=True, metadata={"a": "1"}))
ASSISTANT = ("beta.assistants.create", {"model": MODEL, "name": "Ada", "instructions": "Be brief."})
THREAD = ("beta.threads.create", {"messages": [{"role": "user", "content": "Hi"}]})

CALLS: tuple[Call, ...] = (
    # chat
    Call("chat", "chat.completions.create", chat(), azure=True),
    Call("chat of n choices", "chat.completions.create", chat(n=2, seed=1, temperature=0.5), azure=True),
    Call("chat with tools", "chat.completions.create", chat(f"{TOOL_MARKER} Rome", tools=[WEATHER]), azure=True),
    Call("chat with a schema", "chat.completions.create", chat("Rome", response_format=CITY)),
    Call("chat refused", "chat.completions.create", chat(REFUSAL_MARKER)),
    Call("chat unicode", "chat.completions.create", chat("¿Qué? 日本 \U0001f600 \ud7ff\u2028")),
    Call("chat streamed", "chat.completions.create", chat(stream=True), azure=True, streamed=True),
    Call(
        "chat streamed with usage",
        "chat.completions.create",
        chat(stream=True, n=2, stream_options={"include_usage": True}),
        azure=True,
        streamed=True,
    ),
    Call(
        "chat tools streamed",
        "chat.completions.create",
        chat(f"{TOOL_MARKER} Rome", tools=[WEATHER], stream=True),
        streamed=True,
    ),
    Call("stored chats", "chat.completions.list", {"limit": 1}, (STORED, STORED)),
    Call("stored chat", "chat.completions.retrieve", {"completion_id": "chatcmpl-1"}, (STORED,)),
    Call(
        "stored chat changed",
        "chat.completions.update",
        {"completion_id": "chatcmpl-1", "metadata": {"b": "2"}},
        (STORED,),
    ),
    Call("stored chat deleted", "chat.completions.delete", {"completion_id": "chatcmpl-1"}, (STORED,)),
    Call("stored messages", "chat.completions.messages.list", {"completion_id": "chatcmpl-1"}, (STORED,)),
    # responses
    Call("response", "responses.create", {"model": MODEL, "input": "Hi", "instructions": "Be brief."}, azure=True),
    Call("response streamed", "responses.create", {"model": MODEL, "input": "Hi", "stream": True}, streamed=True),
    Call(
        "response retrieved",
        "responses.retrieve",
        {"response_id": "resp_1", "include": ["reasoning.encrypted_content", "file_search_call.results"]},
        (("responses.create", {"model": MODEL, "input": "Hi"}),),
    ),
    Call(
        "response resumed",
        "responses.retrieve",
        {"response_id": "resp_1", "stream": True, "starting_after": 4},
        (("responses.create", {"model": MODEL, "input": "Hello there"}),),
        streamed=True,
    ),
    Call(
        "response deleted",
        "responses.delete",
        {"response_id": "resp_1"},
        (("responses.create", {"model": MODEL, "input": "Hi"}),),
    ),
    Call(
        "response cancelled",
        "responses.cancel",
        {"response_id": "resp_1"},
        (("responses.create", {"model": MODEL, "input": "Hi", "background": True}),),
    ),
    Call(
        "response items",
        "responses.input_items.list",
        {"response_id": "resp_1"},
        (("responses.create", {"model": MODEL, "input": "Hi"}),),
    ),
    Call("response tokens", "responses.input_tokens.count", {"model": MODEL, "input": "Hi"}),
    # the other models
    Call("completion", "completions.create", {"model": MODEL, "prompt": "Hi"}, azure=True),
    Call("completion streamed", "completions.create", {"model": MODEL, "prompt": "Hi", "stream": True}, streamed=True),
    Call("embeddings in base64", "embeddings.create", {"model": "e", "input": ["one", "two"]}, azure=True),
    Call("embeddings in floats", "embeddings.create", {"model": "e", "input": "one", "encoding_format": "float"}),
    Call("embeddings of a size", "embeddings.create", {"model": "e", "input": [1, 2, 3], "dimensions": 8}),
    Call("moderation", "moderations.create", {"input": ["fine", f"so {FLAG_MARKER}"]}),
    Call("models", "models.list", {}, azure=True),
    Call("model", "models.retrieve", {"model": "gpt-5-mini"}, azure=True),
    Call("model deleted", "models.delete", {"model": "ft:gpt:test::1"}),
    Call("images", "images.generate", {"prompt": "a cat", "n": 2}),
    Call("images streamed", "images.generate", {"prompt": "a cat", "stream": True}, streamed=True),
    Call("image edited", "images.edit", {"image": [PICTURE, PICTURE], "prompt": "a cat"}),
    Call("image varied", "images.create_variation", lambda: {"image": io.BytesIO(PICTURE[1])}),
    Call("speech", "audio.speech.create", {"model": "tts", "voice": "alloy", "input": "Hi"}, azure=True),
    Call("transcription", "audio.transcriptions.create", {"model": "whisper-1", "file": SOUND}),
    Call(
        "transcription as text",
        "audio.transcriptions.create",
        {"model": "whisper-1", "file": SOUND, "response_format": "text"},
    ),
    Call(
        "transcription streamed",
        "audio.transcriptions.create",
        {"model": "gpt-4o-transcribe", "file": SOUND, "stream": True},
        streamed=True,
    ),
    Call("translation", "audio.translations.create", {"model": "whisper-1", "file": SOUND}),
    # files
    Call("file", FILE[0], FILE[1]),
    Call("files", "files.list", {"limit": 1, "order": "asc"}, (FILE, FILE)),
    Call("file retrieved", "files.retrieve", {"file_id": "file-1"}, (FILE,)),
    Call("file content", "files.content", {"file_id": "file-1"}, (FILE,)),
    Call("file deleted", "files.delete", {"file_id": "file-1"}, (FILE,)),
    Call("upload", UPLOAD[0], UPLOAD[1]),
    Call("upload part", "uploads.parts.create", {"upload_id": "upload_1", "data": b"abc"}, (UPLOAD,)),
    Call("upload cancelled", "uploads.cancel", {"upload_id": "upload_1"}, (UPLOAD,)),
    # work
    Call("batch", BATCH[0], BATCH[1], (FILE,)),
    Call("batches", "batches.list", {}, (FILE, BATCH)),
    Call("batch cancelled", "batches.cancel", {"batch_id": "batch_1"}, (FILE, BATCH)),
    Call("job", JOB[0], JOB[1], (FILE,)),
    Call("job retrieved", "fine_tuning.jobs.retrieve", {"fine_tuning_job_id": "ftjob-1"}, (FILE, JOB)),
    Call("job cancelled", "fine_tuning.jobs.cancel", {"fine_tuning_job_id": "ftjob-1"}, (FILE, JOB)),
    Call("job events", "fine_tuning.jobs.list_events", {"fine_tuning_job_id": "ftjob-1"}, (FILE, JOB)),
    # vector stores
    Call("vector store", STORE[0], STORE[1], (FILE,)),
    Call("vector store changed", "vector_stores.update", {"vector_store_id": "vs_1", "name": "more"}, (FILE, STORE)),
    Call("vector store searched", "vector_stores.search", {"vector_store_id": "vs_1", "query": "quick"}, (FILE, STORE)),
    Call("vector store files", "vector_stores.files.list", {"vector_store_id": "vs_1"}, (FILE, STORE)),
    Call("vector store deleted", "vector_stores.delete", {"vector_store_id": "vs_1"}, (FILE, STORE)),
    # assistants
    Call("assistant", ASSISTANT[0], ASSISTANT[1]),
    Call("thread", THREAD[0], THREAD[1]),
    Call(
        "thread message",
        "beta.threads.messages.create",
        {"thread_id": "thread_1", "role": "user", "content": "Hi"},
        (THREAD,),
    ),
    Call("run", "beta.threads.runs.create", {"thread_id": "thread_1", "assistant_id": "asst_1"}, (ASSISTANT, THREAD)),
    Call(
        "run streamed",
        "beta.threads.runs.create",
        {"thread_id": "thread_1", "assistant_id": "asst_1", "stream": True},
        (ASSISTANT, THREAD),
        streamed=True,
    ),
)
