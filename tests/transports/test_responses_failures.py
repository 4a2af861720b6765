"""Chat completions served by the Responses API: what fails, and as which error."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import Call, Reply
from llmstack.middleware import Retry
from llmstack.testing import LocalServer, Recorder, ScriptedTransport
from llmstack.testing.local_server import MISSING_MODEL
from llmstack.transports import ResponsesTransport
from tests.clients.calls import MODEL, chat
from tests.clients.differential import Attempt, Outcome, aobserve, observe
from tests.clients.stacks import passthrough
from tests.core.side import MESSAGES, texts
from tests.transports.responses import ResponsesSide, client_of, scripted, stacks


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def failures(client: Any) -> Generator[Any, Any, Any]:
    """Each status, plain and streamed; a model that is not there."""
    for stream in (False, True):
        for _ in STATUSES:
            yield Attempt(lambda stream=stream: client.chat.completions.create(**chat(stream=stream)))
        missing = {**chat(stream=stream), "model": MISSING_MODEL}
        yield Attempt(lambda missing=missing: client.chat.completions.create(**missing))


STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529)


def failing() -> LocalServer:
    server = LocalServer()
    for _ in range(2):
        for status in STATUSES:
            server.next(status)
        server.next()  # the model that is missing
    return server


def told(outcome: Outcome) -> list[Any]:
    """What the errors say."""
    names = ("status_code", "code", "param", "type", "body", "message")
    errors = [value for value in outcome.values if isinstance(value, Exception)]
    return [(type(error), *(getattr(error, name, None) for name in names)) for error in errors]


async def test_errors_are_the_sdks() -> None:
    """Class, status, code and body."""
    with failing() as server:
        theirs = told(observe(openai.OpenAI, server, failures))
    assert len(theirs) == 2 * (len(STATUSES) + 1)
    with failing() as server:
        assert told(observe(llmstack.OpenAI, server, failures, stack=stacks()[0])) == theirs
    with failing() as server:
        assert told(await aobserve(llmstack.AsyncOpenAI, server, failures, stack=stacks()[0])) == theirs


FAILED = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": MODEL,
    "status": "failed",
    "error": {"code": "server_error", "message": "Sorry"},
    "output": [],
    "usage": None,
}


def test_a_failed_response_is_an_error(responses_side: ResponsesSide) -> None:
    """The one that the SDK raises for an error in a stream; it can be sent again, and the books are kept."""
    rig = responses_side.rig([], [FAILED])

    async def program() -> None:
        with pytest.raises(openai.APIError, match="Sorry") as caught:
            await responses_side.do(rig.create())
        assert caught.value.code == "server_error"

    responses_side.run(program)
    assert rig.finished.outcome == "error"


def test_a_failed_response_is_sent_again_by_retry(responses_side: ResponsesSide) -> None:
    """It says that the server is at fault; plain and streamed."""
    failed = [{"type": "response.created", "response": {**FAILED, "status": "in_progress", "error": None}}]
    failed += [{"type": "response.failed", "response": FAILED}]
    rig = responses_side.rig([Retry()], [FAILED, "Hello", failed, "Hello"])

    async def program() -> None:
        assert (await responses_side.do(rig.create())).choices[0].message.content == "Hello"
        assert texts(await responses_side.read(await responses_side.do(rig.create(stream=True)))) == "Hello"

    responses_side.run(program)
    assert len(rig.sent) == 4


@pytest.mark.parametrize("layers", [[], [passthrough]], ids=["bare", "layered"])
def test_an_error_in_a_stream_is_raised_after_what_came_before(
    responses_side: ResponsesSide, layers: list[Any]
) -> None:
    """As the SDK does for a chat."""
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"}
    error = {"type": "error", "code": "server_error", "message": "Sorry", "param": None, "sequence_number": 2}
    rig = responses_side.rig(layers, [[delta, error]], bare=True)

    async def program() -> None:
        stream = await responses_side.do(rig.create(stream=True))
        chunks, raised = await responses_side.read_until(openai.APIError, stream)
        assert texts(chunks) == "Hel"
        assert (raised.message, raised.code) == ("Sorry", "server_error")

    responses_side.run(program)


FAULTS = ("bad_json_event", "error_event", "truncated_sse", "html", "empty", "error_body", "cut")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", FAULTS)
def test_retry_takes_faults_of_the_wire_for_what_they_are(
    server: LocalServer,
    fault: Any,
    stream: bool,  # noqa: FBT001
) -> None:
    """The inner watch judges them; one fault, one request more, and a whole answer."""
    server.next(fault=fault, after=0 if stream or fault == "cut" else None)
    with client_of(server, Retry(strict=True)) as client:
        answer: Any = client.chat.completions.create(**chat(stream=stream))
        found = texts(answer) if stream else answer.choices[0].message.content
    assert found == "You said: Good morning"
    expected = 1 if not stream and fault in ("bad_json_event", "error_event", "truncated_sse") else 2
    assert server.count() == expected


def test_a_stream_cut_short_is_not_complete(server: LocalServer) -> None:
    """As with chat completions: the program sees the end, the layers see that it came too soon."""
    server.next(fault="no_finish", after=4)
    recorder = Recorder()
    with client_of(server, recorder) as client, client.chat.completions.create(**chat(stream=True)) as stream:
        list(stream)
    assert recorder.finished.outcome == "incomplete"


@pytest.mark.parametrize(
    "answer",
    [b"<html></html>", b"", {"object": "list", "data": []}, [1]],
    ids=["html", "nothing", "no response", "no object"],
)
def test_what_is_no_response_is_left_for_the_layers_to_judge(answer: Any) -> None:
    """Retry says what it is; without it the program gets what the SDK makes of it."""
    body = answer if isinstance(answer, bytes) else Reply(answer)
    transport = ResponsesTransport(ScriptedTransport(default=body))
    with scripted(transport, Retry(attempts=1)) as client, pytest.raises(openai.APIResponseValidationError):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body", [{"object": "response", "id": "r", "model": "m", "output": []}, FAILED], ids=["good", "failed"]
)
def test_an_inner_transport_may_bring_a_response_of_its_own_making(body: Any) -> None:
    """Which has no request and took no time."""
    inner = ScriptedTransport([Reply(body, native=httpx2.Response(200, json=body))])
    with scripted(ResponsesTransport(inner), Recorder()) as client:
        if body is FAILED:
            with pytest.raises(openai.APIError, match="Sorry"):
                client.chat.completions.create(**chat())
        else:
            raw = client.chat.completions.with_raw_response.create(**chat())
            assert raw.parse().choices[0].finish_reason == "stop"


def test_a_call_made_by_hand_is_translated_for_a_transport_that_takes_it() -> None:
    """The transport asks nothing of the SDK's own request."""
    inner = ScriptedTransport(["Hello"])
    call = Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m", "messages": MESSAGES})
    flow = ResponsesTransport(inner).send(call)
    effect: Any = next(flow)
    with pytest.raises(StopIteration) as stopped:
        flow.send(effect.run() if hasattr(effect, "run") else None)
    reply = stopped.value.value
    assert (reply.text, reply.body["object"]) == ("Hello", "chat.completion")
    assert (inner.calls[0].path, inner.calls[0].endpoint) == ("/responses", "responses")
