"""Chat completions served by the Responses API: what the program gets is what the Chat Completions API gives."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import openai
import pydantic
import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.events import CallFinished
from llmstack.testing import LocalServer, Recorder
from llmstack.testing.local_server import REFUSAL_MARKER, TOOL_MARKER
from llmstack.transports import ResponsesTransport
from tests.clients.calls import CITY, MODEL, WEATHER, chat
from tests.clients.calls import Call as Comparison
from tests.clients.differential import KEY, Items, Outcome, Program, Within, aobserve, observe
from tests.clients.helper_programs import chat_parse, stream_as_context_manager, stream_left_early
from tests.clients.program_steps import City
from tests.transports.responses import client_of, stacks

# The SDK's parsed models warn when they are written down, whatever they come from.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# The same program on either API ---------------------------------------------------------------------------------------

PNG = "data:image/png;base64,iVBORw0KGgo="
IMAGE = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
]
ANSWERED = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Weather in Rome?"},
    {
        "role": "assistant",
        "content": None,
        # Without arguments: the local server counts them as tokens in one of its APIs only.
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
]
TIME = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}

REQUESTS: dict[str, dict[str, Any]] = {
    "text": chat(),
    "unicode": chat("¿Qué? 日本 \U0001f600 \ud7ff\u2028"),
    "system": chat(messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]),
    "image and file": chat(messages=[{"role": "user", "content": IMAGE}]),
    "tool": chat(f"{TOOL_MARKER} Rome", tools=[WEATHER]),
    "parallel tools": chat(f"{TOOL_MARKER} {TOOL_MARKER} {TOOL_MARKER} Rome", tools=[WEATHER, TIME]),
    "named tool": chat("Rome", tools=[WEATHER, TIME], tool_choice={"type": "function", "function": {"name": "time"}}),
    "tool's answer": chat(messages=ANSWERED, tools=[WEATHER]),
    "schema": chat("Rome", response_format=CITY),
    "json": chat("Rome", response_format={"type": "json_object"}),
    "refusal": chat(REFUSAL_MARKER),
    "cut by length": chat(max_completion_tokens=2),
    "log probabilities": chat(logprobs=True, top_logprobs=2),
}
STREAMED = {
    f"{name}, streamed": {**request, "stream": True, "stream_options": {"include_usage": True}}
    for name, request in REQUESTS.items()
}
MODES = ("plain", "raw", "streaming")


def alike(value: Any) -> Any:
    """What a program sees, without what the documentation lists as different."""
    if isinstance(value, pydantic.BaseModel):
        return alike(value.model_dump())
    if isinstance(value, list):
        return [alike(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    different = {"id", "system_fingerprint", "prompt_tokens_details", "completion_tokens_details"}
    return {name: alike(entry) for name, entry in value.items() if name not in different}


def models(outcome: Outcome) -> list[Any]:
    """The completions, chunks and events that a program saw; it ended well."""
    flat = [entry for value in outcome.values for entry in (value if isinstance(value, list) else [value])]
    errors = [value for value in flat if isinstance(value, Exception)]
    assert errors == []
    return [alike(entry) for entry in flat if isinstance(entry, pydantic.BaseModel)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [*REQUESTS, *STREAMED])
async def test_a_program_sees_the_same(name: str, mode: str) -> None:
    """Sync and async, parsed and raw, plain and streamed: chunk by chunk, field by field."""
    request = {**REQUESTS, **STREAMED}[name]
    program: Program = getattr(Comparison(name, "chat.completions.create", request, streamed="stream" in request), mode)
    with LocalServer() as server:
        theirs = observe(openai.OpenAI, server, program)
    assert models(theirs)
    for stack in stacks():
        with LocalServer() as server:
            ours = observe(llmstack.OpenAI, server, program, stack=stack)
            assert {request.path for request in server.requests} == {"/v1/responses"}
        assert models(ours) == models(theirs)
        with LocalServer() as server:
            async_ours = await aobserve(llmstack.AsyncOpenAI, server, program, stack=stack)
        assert models(async_ours) == models(theirs)


@pytest.mark.parametrize("program", [chat_parse, stream_left_early, stream_as_context_manager])
async def test_the_helpers_of_the_sdk_see_the_same(program: Program) -> None:
    """Parsing, streams left early, streams as context managers."""
    with LocalServer() as server:
        theirs = observe(openai.OpenAI, server, program)
    for stack in stacks():
        with LocalServer() as server:
            assert models(observe(llmstack.OpenAI, server, program, stack=stack)) == models(theirs)
        with LocalServer() as server:
            assert models(await aobserve(llmstack.AsyncOpenAI, server, program, stack=stack)) == models(theirs)


def by_stream_helper(client: Any) -> Generator[Any, Any, Any]:
    """``chat.completions.stream``, with a type to parse into, with tools, and with parallel ones."""

    def read(stream: Any) -> Generator[Any, Any, Any]:
        yield Items(stream)
        yield stream.get_final_completion()

    stream = client.chat.completions.stream
    yield Within(stream(**chat("Rome", response_format=City)), read)
    yield Within(stream(**chat(f"{TOOL_MARKER} {TOOL_MARKER} Rome", tools=[WEATHER])), read)
    yield Within(stream(**chat(stream_options={"include_usage": True}, logprobs=True)), read)


async def test_the_stream_helper_sees_the_same() -> None:
    """Its events and its final completion, parsed."""
    with LocalServer() as server:
        theirs = observe(openai.OpenAI, server, by_stream_helper)
    seen = models(theirs)
    finals = [value["choices"][0] for value in seen if value.get("object") == "chat.completion"]
    assert [choice["finish_reason"] for choice in finals] == ["stop", "tool_calls", "stop"]
    assert finals[0]["message"]["parsed"] == {"name": "Rome"}
    for stack in stacks():
        with LocalServer() as server:
            assert models(observe(llmstack.OpenAI, server, by_stream_helper, stack=stack)) == seen
        with LocalServer() as server:
            assert models(await aobserve(llmstack.AsyncOpenAI, server, by_stream_helper, stack=stack)) == seen


def test_a_function_of_old_is_called(server: LocalServer) -> None:
    """As `function_call`, plain and streamed."""
    ask = chat("Rome", functions=[WEATHER["function"]], function_call={"name": "weather"})
    with client_of(server) as client:
        plain = client.chat.completions.create(**ask)
        (choice,) = plain.choices
        assert (choice.finish_reason, choice.message.tool_calls) == ("function_call", None)
        assert choice.message.function_call is not None
        with client.chat.completions.create(**ask, stream=True) as stream:
            chunks = list(stream)
        assert chunks[-1].choices[0].finish_reason == "function_call"
        pieces = [chunk.choices[0].delta.function_call for chunk in chunks]
        assert "".join(piece.arguments or "" for piece in pieces if piece) == choice.message.function_call.arguments


def test_a_raw_response_is_that_of_the_request_that_was_sent(server: LocalServer) -> None:
    """With its headers, its time and the SDK's own retries; and the body of a chat completion."""
    server.next(503)
    with client_of(server, max_retries=1) as client:
        raw = client.chat.completions.with_raw_response.create(**chat())
    assert raw.retries_taken == 1
    assert raw.request_id
    assert raw.elapsed.total_seconds() >= 0
    assert raw.http_response.request.url.path == "/v1/responses"
    assert raw.http_response.json()["object"] == "chat.completion"
    assert int(raw.headers.get("content-length", len(raw.content))) == len(raw.content)


def test_an_azure_client_asks_azures_responses(server: LocalServer) -> None:
    """Whose path has no deployment in it."""
    stack = Stack([], transport=ResponsesTransport())
    with llmstack.AzureOpenAI(
        azure_endpoint=server.azure_endpoint, api_version="2024-10-21", api_key=KEY, stack=stack
    ) as client:
        assert client.chat.completions.create(**chat()).choices[0].message.content == "You said: Good morning"
    assert [request.path for request in server.requests] == ["/openai/responses"]


def test_a_path_may_be_a_whole_address(server: LocalServer) -> None:
    """Its last part is what changes; its query stays."""
    with client_of(server) as client:
        url = f"{server.base_url}/chat/completions/?a=chat/completions"
        completion: Any = client.post(url, cast_to=object, body=chat())
    assert completion["object"] == "chat.completion"
    (request,) = server.requests
    assert (request.path, dict(request.query)) == ("/v1/responses", {"a": "chat/completions"})


def test_other_calls_pass_as_they_are() -> None:
    """Responses, models, and the completions that were stored."""
    with LocalServer() as server, client_of(server) as client:
        assert client.responses.create(model=MODEL, input="Hi").output_text == "You said: Hi"
        assert client.models.list().data
        assert client.chat.completions.list().data == []
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.update("chatcmpl-1", metadata={"a": "1"})
        paths = [request.path for request in server.requests]
    assert paths == ["/v1/responses", "/v1/models", "/v1/chat/completions", "/v1/chat/completions/chatcmpl-1"]


def test_layers_see_a_chat_completion(server: LocalServer) -> None:
    """Call, reply, usage and events are those of the program's own call."""
    seen: list[tuple[Call, Reply]] = []

    def watch(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        seen.append((call, reply))
        return reply

    recorder = Recorder()
    with client_of(server, watch, recorder) as client:
        client.chat.completions.create(**chat())
        with client.chat.completions.create(**chat(stream=True, stream_options={"include_usage": True})) as stream:
            list(stream)
    for call, reply in seen:
        assert (call.endpoint, call.path) == ("chat.completions", "/chat/completions")
        assert (reply.text, reply.finish_reason, reply.complete) == ("You said: Good morning", "stop", True)
        assert reply.usage is not None
        assert (reply.usage.input_tokens, reply.usage.output_tokens) == (7, 6)
    finished = recorder.of(CallFinished)
    assert [(event.outcome, event.call.endpoint) for event in finished] == [("ok", "chat.completions")] * 2
