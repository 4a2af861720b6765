"""Responses served by chat completions: the program sees what the Responses API would have told it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import openai
import pydantic
import pytest
from openai.types.responses import Response

import llmstack
from llmstack import Stack, transports
from llmstack.events import CallFinished
from llmstack.middleware import Retry
from llmstack.testing import LocalServer, ScriptedTransport
from llmstack.testing.local_server import REFUSAL_MARKER, TOOL_MARKER
from llmstack.transports import ChatTransport
from tests.clients.calls import chat
from tests.core.side import Rig, Side
from tests.transports.chat_rig import CHAT_PATH, MODEL, WEATHER, chat_rig, play, shape

KEY = "sk-test-not-a-key"
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}

REQUESTS: dict[str, dict[str, Any]] = {
    "a text": {"input": "Hello"},
    "settings": {"input": "Hello", "temperature": 0.5, "top_p": 0.9, "metadata": {"a": "b"}, "user": "ann"},
    "one call": {"input": f"{TOOL_MARKER} Rome", "tools": [WEATHER]},
    "calls at once": {"input": f"{TOOL_MARKER} Rome {TOOL_MARKER}", "tools": [WEATHER], "parallel_tool_calls": True},
    "a call that must be": {"input": "Hi", "tools": [WEATHER], "tool_choice": {"type": "function", "name": "weather"}},
    "a refusal": {"input": REFUSAL_MARKER},
    "too little room": {"input": "Hello there, all of you", "max_output_tokens": 2},
    "an image": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Look"}, IMAGE]}]},
    "a form": {
        "input": "Rome",
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}},
    },
    "a result": {
        "input": [{"role": "user", "content": "Weather?"}, CALL,
                  {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}],
        "tools": [WEATHER],
    },
}  # fmt: skip


def without_input_tokens(told: dict[str, Any]) -> dict[str, Any]:
    """A response's shape without what the local server counts otherwise in the other API."""
    usage = {name: count for name, count in told["usage"].items() if name not in ("input_tokens", "total_tokens")}
    return {**told, "usage": usage, "system_fingerprint": None}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
def test_the_same_program_sees_the_same(side: Side, server: LocalServer, request_: dict[str, Any]) -> None:
    """As with the Responses API itself, but for the differences that the docs list."""
    ours, theirs = chat_rig(side, server), side.local(server)

    async def program() -> None:
        expected = await side.do(theirs.client.responses.create(model=MODEL, **request_))
        got = await side.do(ours.client.responses.create(model=MODEL, **request_))
        assert type(got) is Response
        assert without_input_tokens(shape(got)) == without_input_tokens(shape(expected))
        Response.model_validate(got.to_dict(), strict=True)

    play(side, program, ours, theirs)
    assert [request.path for request in server.requests] == ["/v1/responses", CHAT_PATH]


def test_what_a_response_said_goes_back_as_it_is(side: Side, server: LocalServer) -> None:
    """A program may put the SDK's own objects into its next input."""
    rig = chat_rig(side, server)

    async def program() -> None:
        first = await side.do(rig.client.responses.create(model=MODEL, input=f"{TOOL_MARKER} Rome", tools=[WEATHER]))
        result = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "sunny"}
        second = await side.do(rig.client.responses.create(model=MODEL, input=[*first.output, result]))
        assert second.output_text == "Tool said: sunny"

    play(side, program, rig)
    called, told = server.requests[1].json["messages"]
    assert called["tool_calls"][0]["function"]["name"] == "weather"
    assert told["tool_call_id"] == called["tool_calls"][0]["id"]


class City(pydantic.BaseModel):
    name: str


def test_structured_output_is_parsed(side: Side, server: LocalServer) -> None:
    """By the SDK's own helper."""
    rig = chat_rig(side, server)

    async def program() -> Any:
        return await side.do(rig.client.responses.parse(model=MODEL, input="Rome", text_format=City))

    response = play(side, program, rig)
    assert response.output_parsed == City(name="Rome")
    assert server.requests[0].json["response_format"]["json_schema"]["name"] == "City"


@pytest.mark.parametrize("how", ["with_raw_response", "with_streaming_response"])
def test_raw_responses(side: Side, server: LocalServer, how: str) -> None:
    """With the headers, the status and the time of the request that was sent."""
    rig = chat_rig(side, server)

    async def program() -> tuple[Any, Any]:
        got = getattr(rig.client.responses, how).create(model=MODEL, input="Hello")
        if how == "with_raw_response":
            raw = await side.do(got)
            return raw, raw.parse()
        if side.asynchronous:
            async with got as raw:
                return raw, await raw.parse()
        with got as raw:
            return raw, raw.parse()

    raw, response = play(side, program, rig)
    assert response.output_text == "You said: Hello"
    assert (raw.status_code, raw.http_request.url.path) == (200, CHAT_PATH)
    assert raw.headers["x-request-id"]
    assert raw.elapsed.total_seconds() >= 0
    assert raw.retries_taken == 0


STATUSES = [
    (400, openai.BadRequestError), (401, openai.AuthenticationError), (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError), (422, openai.UnprocessableEntityError), (429, openai.RateLimitError),
    (500, openai.InternalServerError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_errors_are_the_sdks_own(
    side: Side, server: LocalServer, status: int, kind: type[openai.APIStatusError]
) -> None:
    """Their status and their code."""
    rig = chat_rig(side, server)
    server.next(status, code="some_code")

    async def program() -> None:
        with pytest.raises(kind) as caught:
            await side.do(rig.client.responses.create(model=MODEL, input="Hello"))
        assert (caught.value.status_code, caught.value.code) == (status, "some_code")

    play(side, program, rig)


def assert_fails(side: Side, rig: Rig, error: type[Exception], match: str | None = None) -> None:
    """A request for a response ends in this error."""

    async def program() -> None:
        with pytest.raises(error, match=match):
            await side.do(rig.client.responses.create(model=MODEL, input="Hello"))

    play(side, program, rig)


@pytest.mark.parametrize("fault", ["html", "empty", "truncated_json", "wrong_shape"])
def test_what_is_no_answer_is_an_error(side: Side, server: LocalServer, fault: Any) -> None:
    """Nothing can be made of it; what it said stays untold."""
    rig = chat_rig(side, server)
    server.next(fault=fault)
    assert_fails(side, rig, openai.APIResponseValidationError, match=r"chat\.completions")


def test_an_answer_without_a_body_is_an_error(side: Side, server: LocalServer) -> None:
    """Whatever the status says."""
    rig = chat_rig(side, server)
    server.next(204, body="")
    assert_fails(side, rig, openai.APIResponseValidationError, match="is empty")


def test_an_error_with_status_200_is_that_error(side: Side, server: LocalServer) -> None:
    """With its message."""
    rig = chat_rig(side, server)
    server.next(fault="error_body")
    assert_fails(side, rig, openai.APIError, match="The server had an error")


def test_a_lost_connection_is_the_sdks_error(side: Side, server: LocalServer) -> None:
    """Before any answer."""
    rig = chat_rig(side, server)
    server.next(fault="close")
    assert_fails(side, rig, openai.APIConnectionError)


def test_layers_see_a_response(side: Side, server: LocalServer) -> None:
    """A retry sends again, and the books have the usage and the end of a response."""
    rig = chat_rig(side, server, [Retry()], max_retries=2)
    server.next(503)

    async def program() -> Any:
        return await side.do(rig.client.responses.create(model=MODEL, input="Hello", instructions="Be brief"))

    response = play(side, program, rig)
    finished: CallFinished = rig.finished
    assert (finished.attempts, finished.finish_reason, finished.call.endpoint) == (2, "completed", "responses")
    assert finished.usage is not None
    assert finished.usage.output_tokens == response.usage.output_tokens
    assert rig.witness.reply.text == "You said: Hello"
    bodies = [request.json for request in server.requests]
    assert bodies[0] == bodies[1]
    assert bodies[0]["messages"][0] == {"role": "system", "content": "Be brief"}


# Other ways ---------------------------------------------------------------------------------------------------------


def test_other_endpoints_pass(side: Side, server: LocalServer) -> None:
    """Unchanged, chat completions and their streams too."""
    rig = chat_rig(side, server)

    async def program() -> None:
        await side.do(rig.client.models.list())
        completion = await side.do(rig.client.chat.completions.create(**chat("Hello")))
        assert completion.choices[0].message.content == "You said: Hello"
        assert len(await side.read(await side.do(rig.client.chat.completions.create(**chat(stream=True))))) > 1

    play(side, program, rig)
    assert [request.path for request in server.requests] == ["/v1/models", CHAT_PATH, CHAT_PATH]


def test_azure(server: LocalServer) -> None:
    """Where chat completions have a deployment in their path."""
    with llmstack.AzureOpenAI(
        azure_endpoint=server.azure_endpoint, api_key=KEY, api_version="2024-10-21",
        stack=Stack([], transport=ChatTransport()),
    ) as client:  # fmt: skip
        assert client.responses.create(model=MODEL, input="Hello").output_text == "You said: Hello"
        last = list(client.responses.create(model=MODEL, input="Hello", stream=True))[-1]
        assert last.type == "response.completed"
    assert {request.path for request in server.requests} == {f"/openai/deployments/{MODEL}/chat/completions"}


def test_another_transport_inside(side: Side) -> None:
    """Whatever brings chat completions, plain or as a stream; it is closed with this one."""

    class Closable(ScriptedTransport):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    inner = Closable(default="Hello")
    transport = ChatTransport(inner)
    rig = side.rig()
    client = rig.client.with_options(stack=rig.stack.with_transport(transport))

    async def program() -> None:
        response = await side.do(client.responses.create(model=MODEL, input="Hi"))
        assert response.output_text == "Hello"
        events = await side.read(await side.do(client.responses.create(model=MODEL, input="Hi", stream=True)))
        assert events[-1].response.output_text == "Hello"
        await transport.aclose()

    play(side, program, rig)
    transport.close()
    assert inner.closed == 2
    assert {call.endpoint for call in inner.calls} == {"chat.completions"}
    assert inner.open == 0


def test_a_client_that_needs_no_translation_imports_none():
    """Every public name is there all the same, and no other."""
    code = "import sys, llmstack.stack; print([name for name in sys.modules if '_translation' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
    assert transports.__all__ == sorted(transports.__all__)
    assert all(getattr(transports, name) is not None for name in transports.__all__)
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = transports.Nonsense  # type: ignore[attr-defined]
