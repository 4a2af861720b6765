"""What is an answer and what is none: the judgement on a complete reply."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

import httpx2
import openai
import pytest
from openai.pagination import SyncCursorPage, SyncPage
from openai.types import (
    Batch,
    Completion,
    CreateEmbeddingResponse,
    ImagesResponse,
    Model,
    ModerationCreateResponse,
    VectorStore,
)
from openai.types.audio import Transcription, TranscriptionCreateResponse
from openai.types.chat import ChatCompletion, ChatCompletionDeleted
from openai.types.responses import Response

import llmstack
from llmstack import Call, Reply, Stack
from llmstack._wire.request import call_of
from llmstack._wire.sdk import FinalRequestOptions
from llmstack._wire.sse import ServerSentEvent
from llmstack._wire.verify import verify

SECRET = "the prompt that nobody may see"
CHAT = "/chat/completions"
WRONG = openai.APIResponseValidationError
TEXT = {"content-type": "text/plain"}
ERROR = {"message": "no more", "type": "server_error", "code": "overloaded", "param": "model"}


@pytest.fixture(scope="module")
def client() -> Any:
    """A client that sends nothing."""
    unused = httpx2.MockTransport(lambda _: httpx2.Response(500))
    with llmstack.OpenAI(
        api_key="sk-test-not-a-key", stack=Stack([]), http_client=httpx2.Client(transport=unused)
    ) as made:
        yield made


def call_for(client: Any, cast_to: Any, path: str, **more: Any) -> Call:
    """What the SDK asks a client for."""
    options = FinalRequestOptions.construct(method="post", url=path, json_data={})
    call = call_of(client, cast_to, options, stream=False, stream_cls=None)
    return call.replace(verify=True, **more)


def reply_of(body: Any, **more: Any) -> Reply:
    """A reply of these bytes, or of this JSON value."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    more.setdefault("headers", {"content-type": "application/json"})
    return Reply(content=content, **more)


def page_of(item: Any) -> Any:
    """A page as the SDK asks for it."""
    return SyncPage[item]


CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
WAITING = {"id": "resp_1", "object": "response", "status": "queued"}

ANSWERS: list[tuple[Any, str, Any]] = [
    (ChatCompletion, CHAT, {"choices": [CHOICE]}),
    (ChatCompletion, CHAT, {"choices": [], "prompt_filter_results": []}),
    (ChatCompletion, CHAT, {"choices": [{"message": {}, "odd": [1]}], "new": {"a": 1}, "usage": "many", "error": None}),
    (ChatCompletion, CHAT, {"choices": [CHOICE], "error": {"message": "a warning of some gateway"}}),
    (ChatCompletionDeleted, CHAT + "/chatcmpl-1", {"id": "chatcmpl-1", "deleted": True}),
    (SyncCursorPage[ChatCompletion], CHAT, {"data": [], "has_more": False}),
    (Completion, "/completions", {"choices": [{"text": "Hi"}]}),
    (Response, "/responses", {"output": [], "error": None, "status": "completed"}),
    (Response, "/responses/resp_1", {**WAITING, "status": "failed", "error": ERROR, "output": []}),
    (Response, "/responses/resp_1", {**WAITING, "status": "failed", "error": ERROR}),
    (Response, "/responses/resp_1", WAITING),
    (CreateEmbeddingResponse, "/embeddings", {"data": [{"embedding": "AACAPw=="}]}),
    (ImagesResponse, "/images/generations", {"created": 1, "data": []}),
    (ModerationCreateResponse, "/moderations", {"results": []}),
    (Transcription, "/audio/transcriptions", {"text": ""}),
    (TranscriptionCreateResponse, "/audio/transcriptions", {"text": "Hi", "segments": None}),
    (page_of(Model), "/models", {"object": "list", "data": [{"id": "m"}]}),
    (page_of(Model), "/models", {"object": "list", "data": None}),
    (Batch, "/batches/batch_1", {"id": "batch_1", "errors": {"data": [ERROR]}, "error": ERROR}),
    (VectorStore, "/vector_stores/vs_1", {"id": "vs_1", "last_error": ERROR}),
    (object, CHAT, [1]),
    (dict[str, Any], CHAT, {"error": ERROR}),
    (list[Any], "/anything", "text"),
]


@pytest.mark.parametrize(("cast_to", "path", "body"), ANSWERS)
def test_an_answer_is_left_alone(client: Any, cast_to: Any, path: str, body: Any) -> None:
    """Whatever a program can use: new, missing and odd fields, failed jobs, empty lists."""
    assert verify(call_for(client, cast_to, path), reply_of(body)) is None


def test_what_the_sdk_reads_is_an_answer(client: Any) -> None:
    """JSON that calls itself text, JSON in UTF-16, JSON of another type of its own."""
    call = call_for(client, ChatCompletion, CHAT)
    body = {"choices": [CHOICE]}
    assert verify(call, reply_of(body, headers=TEXT)) is None
    assert verify(call, reply_of(body, headers={})) is None
    assert verify(call, reply_of(json.dumps(body).encode("utf-16"))) is None
    assert verify(call, reply_of(body, headers={"content-type": "application/problem+json; charset=utf-8"})) is None


NO_JSON: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b" \r\n", "is empty"),
    (b"<!DOCTYPE html><title>x</title>", r"is HTML \(31 bytes\), not JSON"),
    (b"\n<html>", r"is HTML \(7 bytes\), not JSON"),
    (b"<?xml version='1.0'?>", r"is markup \(21 bytes\), not JSON"),
    (b'{"choices": [', r"is broken JSON \(13 bytes\)"),
    (b'{"id": "\xff"}', r"is broken JSON \(11 bytes\)"),
    (b"upstream is down", r"is text \(16 bytes\), not JSON"),
    (b"\x89PNG\0\0", r"is data \(6 bytes\), not JSON"),
    (b"null", "is JSON but null, not an object"),
    (b"[1]", "is JSON but a list, not an object"),
    (b'"no"', "is JSON but a string, not an object"),
    (b"3.5", "is JSON but a number, not an object"),
    (b"true", "is JSON but a boolean, not an object"),
]


@pytest.mark.parametrize(("body", "what"), NO_JSON)
@pytest.mark.parametrize("headers", [TEXT, {"content-type": "application/json"}], ids=["text", "json"])
def test_what_is_no_json_object_is_no_answer(client: Any, body: bytes, what: str, headers: Any) -> None:
    """The message says what it is and how long."""
    error = verify(call_for(client, ChatCompletion, CHAT), reply_of(body, headers=headers))
    assert type(error) is WRONG
    with pytest.raises(WRONG, match=f"^the answer to chat.completions {what}$"):
        raise error


NO_ANSWERS: list[tuple[Any, str, Any, str]] = [
    (ChatCompletion, CHAT, {"id": "x"}, "no list of choices"),
    (ChatCompletion, CHAT, {"choices": None}, "no list of choices"),
    (ChatCompletion, CHAT, {"choices": {"0": CHOICE}}, "no list of choices"),
    (ChatCompletion, CHAT, {"choices": [None]}, "null for a choice"),
    (ChatCompletion, CHAT, {"choices": [CHOICE, {"index": 1}]}, "a choice without a message"),
    (Completion, "/completions", {"choices": ["Hi"]}, "a string for a choice"),
    (Response, "/responses", {**WAITING, "status": "completed", "output": None}, "no list of output"),
    (Response, "/responses/resp_1", {"detail": "not here"}, "no list of output"),
    (CreateEmbeddingResponse, "/embeddings", {"data": None}, "no list of data"),
    (CreateEmbeddingResponse, "/embeddings", {"data": []}, "no embedding"),
    (ImagesResponse, "/images/edits", {"created": 1}, "no list of data"),
    (ModerationCreateResponse, "/moderations", {"results": None}, "no list of results"),
    (Transcription, "/audio/transcriptions", {"task": "transcribe"}, "no text"),
    (page_of(Model), "/models", {"message": "down"}, "no list of data"),
    (page_of(Model), "/models", {"data": "none"}, "no list of data"),
]


@pytest.mark.parametrize(("cast_to", "path", "body", "what"), NO_ANSWERS)
def test_an_object_without_what_was_asked_for_is_no_answer(
    client: Any, cast_to: Any, path: str, body: Any, what: str
) -> None:
    """It would reach the program as an object with None where the answer should be."""
    error = verify(call_for(client, cast_to, path), reply_of(body))
    assert type(error) is WRONG
    assert str(error).endswith(what)
    assert error.body == body


def test_a_model_that_is_no_json_is_no_answer_for_any_endpoint(client: Any) -> None:
    """The SDK would give a string where the program expects a model."""
    for cast_to, path in ((Batch, "/batches/batch_1"), (page_of(Model), "/models"), (Transcription, "/unknown")):
        assert type(verify(call_for(client, cast_to, path), reply_of(b"<html>", headers=TEXT))) is WRONG


ERRORS: list[tuple[Any, str, Any]] = [
    (ChatCompletion, CHAT, {"error": ERROR}),
    (ChatCompletion, CHAT, {"error": ERROR, "choices": None}),
    (ChatCompletion, CHAT, {"error": ERROR, "choices": []}),
    (Completion, "/completions", {"error": ERROR}),
    (Response, "/responses", {"error": ERROR}),
    (CreateEmbeddingResponse, "/embeddings", {"error": ERROR, "data": []}),
    (ImagesResponse, "/images/generations", {"error": ERROR, "created": 1}),
    (ModerationCreateResponse, "/moderations", {"error": ERROR}),
    (Transcription, "/audio/transcriptions", {"error": ERROR}),
    (page_of(Model), "/models", {"error": ERROR}),
    (page_of(Model), "/models", {"error": ERROR, "data": None}),
]


@pytest.mark.parametrize(("cast_to", "path", "body"), ERRORS)
def test_a_body_that_reports_an_error_is_that_error(client: Any, cast_to: Any, path: str, body: Any) -> None:
    """Message, code, type and param are kept, as for an error event of a stream."""
    error = verify(call_for(client, cast_to, path), reply_of(body, headers={"x-request-id": "req_7"}))
    assert type(error) is openai.APIError
    assert (error.message, error.code, error.type, error.param) == ("no more", "overloaded", "server_error", "model")
    assert error.body == ERROR
    assert getattr(error, "request_id", None) == "req_7"


def test_an_error_that_is_a_string_is_one(client: Any) -> None:
    """Its text is in the body only."""
    error = verify(call_for(client, ChatCompletion, CHAT), reply_of({"error": SECRET}))
    assert type(error) is openai.APIError
    assert error.body == SECRET
    assert str(error) == "The answer reports an error."


OPAQUE = [type(None), str, int, httpx2.Response, openai._legacy_response.HttpxBinaryResponseContent]  # noqa: SLF001


@pytest.mark.parametrize("cast_to", OPAQUE)
def test_what_is_no_json_by_nature_is_left_alone(client: Any, cast_to: Any) -> None:
    """Deletions, transcripts as text, files."""
    assert verify(call_for(client, cast_to, "/audio/transcriptions"), reply_of(b"<html>", headers=TEXT)) is None


def test_other_ways_to_read_are_left_alone(client: Any) -> None:
    """No content, a body that the program reads itself, a reply put together from events."""
    call = call_for(client, ChatCompletion, CHAT)
    assert verify(call, reply_of(b"", status=204)) is None
    assert verify(call.replace(raw="stream"), reply_of(b"<html>")) is None
    assert verify(call.replace(stream=True), Reply(None, events=[ServerSentEvent(data="{}")])) is None
    assert type(verify(call.replace(raw="raw"), reply_of(b"<html>"))) is WRONG
    assert type(verify(call.replace(stream=True), reply_of(b"<html>"))) is WRONG


def test_json_of_any_kind_must_be_json(client: Any) -> None:
    """A program that asked for a dict gets text where text is what the server says it is."""
    for cast_to in (object, dict[str, Any], list[Any]):
        call = call_for(client, cast_to, "/anything")
        assert verify(call, reply_of(b"hello", headers=TEXT)) is None
        assert type(verify(call, reply_of(b"hello"))) is WRONG


def test_a_call_made_by_hand_is_judged_by_its_endpoint() -> None:
    """Where that is known to answer with JSON."""
    for endpoint, good in (("chat.completions", {"choices": [CHOICE]}), ("responses", {"output": []})):
        call = Call(path="/" + endpoint, endpoint=endpoint, verify=True)
        assert verify(call, Reply(good)) is None
        assert type(verify(call, Reply(content=b"<html>"))) is WRONG
        assert type(verify(call, Reply({"error": ERROR}))) is openai.APIError
        assert verify(call.replace(method="DELETE"), Reply({"deleted": True})) is None
    for endpoint in ("audio.transcriptions", "files.content", "acme"):
        assert verify(Call(path="/" + endpoint, endpoint=endpoint), Reply(content=b"text")) is None


def test_a_call_sent_elsewhere_is_judged_by_where_it_went(client: Any) -> None:
    """A layer that asks another endpoint translates the answer afterwards."""
    call = call_for(client, ChatCompletion, CHAT).replace(path="/responses", endpoint="responses")
    assert verify(call, reply_of({"output": []})) is None
    assert type(verify(call, reply_of({"choices": [CHOICE]}))) is WRONG


def test_no_error_shows_content(client: Any) -> None:
    """Neither text nor repr; what came is in `body` and `response`, as with the SDK."""
    call = call_for(client, ChatCompletion, CHAT)
    bodies = [SECRET.encode(), b'{"choices": "' + SECRET.encode(), json.dumps({SECRET: SECRET}).encode()]
    for body in bodies:
        error = verify(call, reply_of(body))
        assert type(error) is WRONG
        assert SECRET not in repr(error) + str(error) + repr(error.response) + repr(error.args)
        assert SECRET in str(error.body)
        assert error.response.content == body


def test_the_error_knows_its_response(client: Any) -> None:
    """The transport's own where there is one, else one that says the same; made anew each time."""
    call = call_for(client, ChatCompletion, CHAT)
    native = httpx2.Response(200, text="<html>", request=httpx2.Request("POST", "http://example.com/v1"))
    error = verify(call, Reply(content=b"<html>", native=native))
    assert type(error) is WRONG
    assert error.response is native
    assert error.request is native.request
    headers = {"content-encoding": "gzip", "content-length": "3", "x-request-id": "req_1"}
    first, second = (verify(call, reply_of(b"<html>", headers=headers)) for _ in range(2))
    assert type(first) is WRONG
    assert first is not second
    assert (first.status_code, first.response.text) == (200, "<html>")
    assert str(first.request.url) == "https://api.openai.com/v1/chat/completions"
    assert "authorization" not in first.request.headers
    assert getattr(first, "request_id", None) == "req_1"


def test_a_good_reply_is_parsed_once(client: Any) -> None:
    """The judgement uses what the layers see."""
    parsed = []

    def body() -> Any:
        parsed.append(1)
        return {"choices": [CHOICE], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}

    reply = Reply(body)
    assert verify(call_for(client, ChatCompletion, CHAT), reply) is None
    assert reply.text == "Hi"
    assert reply.usage is not None
    assert parsed == [1]


def test_an_answer_for_a_type_without_a_hash_is_judged_as_any_other(client: Any) -> None:
    """What is remembered of types is remembered by their hash."""
    kind: Any = dict[str, Literal[["a list"]]]
    with pytest.raises(TypeError):
        hash(kind)
    call = call_for(client, ChatCompletion, CHAT)
    odd = call.replace(request=dataclasses.replace(call.request, cast_to=kind))
    assert verify(odd, reply_of({"any": "thing"})) is None
    assert isinstance(verify(odd, reply_of(b"{")), WRONG)
