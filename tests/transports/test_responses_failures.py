"""Chat completions served by the Responses API: what fails, what cannot be asked, and what becomes of connections."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable, Generator
from typing import Any

import anyio
import httpx2
import openai
import pytest

import llmstack
from llmstack import Call, Reply, Stack
from llmstack.errors import OptionError, UnsupportedError
from llmstack.events import CallFinished
from llmstack.middleware import Retry
from llmstack.testing import LocalServer, Recorder, ScriptedTransport
from llmstack.testing.local_server import MISSING_MODEL
from llmstack.transports import OpenAITransport, ResponsesTransport
from tests.clients import programs
from tests.clients.calls import MODEL, chat
from tests.clients.differential import Outcome, aobserve, observe
from tests.clients.stacks import passthrough
from tests.core.side import MESSAGES, Rig, texts, trio_complains
from tests.drivers.test_cancellation import PROGRAMS, WAYS, Strikes, Way
from tests.transports.responses import ResponsesSide, client_of, scripted, stacks


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["sync", "asyncio", "trio"])
def side(request: pytest.FixtureRequest) -> Generator[ResponsesSide]:
    """Each of the three ways; afterwards nothing may be left of any call."""
    side = ResponsesSide(request.param)
    yield side
    side.assert_clean()


# Errors ---------------------------------------------------------------------------------------------------------------


def failures(client: Any) -> Generator[Any, Any, Any]:
    """Each status, plain and streamed; a model that is not there."""
    for stream in (False, True):
        for _ in STATUSES:
            yield programs.Attempt(lambda stream=stream: client.chat.completions.create(**chat(stream=stream)))
        missing = {**chat(stream=stream), "model": MISSING_MODEL}
        yield programs.Attempt(lambda missing=missing: client.chat.completions.create(**missing))


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


def test_a_failed_response_is_an_error(side: ResponsesSide) -> None:
    """The one that the SDK raises for an error in a stream; it can be sent again, and the books are kept."""
    rig = side.rig([], [FAILED])

    async def program() -> None:
        with pytest.raises(openai.APIError, match="Sorry") as caught:
            await side.do(rig.create())
        assert caught.value.code == "server_error"

    side.run(program)
    assert rig.finished.outcome == "error"


def test_a_failed_response_is_sent_again_by_retry(side: ResponsesSide) -> None:
    """It says that the server is at fault; plain and streamed."""
    failed = [{"type": "response.created", "response": {**FAILED, "status": "in_progress", "error": None}}]
    failed += [{"type": "response.failed", "response": FAILED}]
    rig = side.rig([Retry()], [FAILED, "Hello", failed, "Hello"])

    async def program() -> None:
        assert (await side.do(rig.create())).choices[0].message.content == "Hello"
        assert texts(await side.read(await side.do(rig.create(stream=True)))) == "Hello"

    side.run(program)
    assert len(rig.sent) == 4


@pytest.mark.parametrize("layers", [[], [passthrough]], ids=["bare", "layered"])
def test_an_error_in_a_stream_is_raised_after_what_came_before(side: ResponsesSide, layers: list[Any]) -> None:
    """As the SDK does for a chat."""
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"}
    error = {"type": "error", "code": "server_error", "message": "Sorry", "param": None, "sequence_number": 2}
    rig = side.rig(layers, [[delta, error]], bare=True)

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        chunks, raised = await side.read_until(openai.APIError, stream)
        assert texts(chunks) == "Hel"
        assert (raised.message, raised.code) == ("Sorry", "server_error")

    side.run(program)


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


# What cannot be asked -------------------------------------------------------------------------------------------------


def test_a_parameter_without_counterpart_refuses_the_call(side: ResponsesSide) -> None:
    """Nothing is sent; the error names all of them and what to do, and no word of the conversation."""
    rig = side.rig([Retry()], [])

    async def program() -> None:
        with pytest.raises(UnsupportedError) as caught:
            await side.do(rig.create(n=2, stop=["private words"]))
        again = pickle.loads(pickle.dumps(caught.value))
        missing = "has no counterpart in the Responses API"
        advice = 'drop them, or use ResponsesTransport(lossy="warn")'
        assert caught.value.message == f"parameters `n` {missing}; `stop` {missing}; {advice}"
        assert again.message == caught.value.message
        assert caught.value.call is not None
        with pytest.raises(UnsupportedError, match=r"parameter `seed` has no .*; drop it, or use"):
            await side.do(rig.create(seed=1, stream=True))

    side.run(program)
    assert rig.sent == []


def test_what_a_call_cannot_do_without_is_refused_in_any_case() -> None:
    """And no such advice is given."""
    messages: Any = [{"role": "assistant", "audio": {"id": "audio_1"}}]
    client = scripted(ResponsesTransport(ScriptedTransport(), lossy="warn"))
    with client, pytest.raises(UnsupportedError, match=r"`messages\[0\].audio` is an answer in audio") as caught:
        client.chat.completions.create(model=MODEL, messages=messages)
    assert "lossy" not in str(caught.value)


def test_lossy_drops_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Once for each parameter in the log, each time in the notes; the other parameters are sent."""
    inner = ScriptedTransport(default="Hello")
    recorder = Recorder()
    named: list[Any] = [{"role": "user", "name": "private words", "content": "Hi"}] * 2
    with (
        caplog.at_level(logging.WARNING, "llmstack.transports"),
        scripted(ResponsesTransport(inner, lossy="warn"), recorder) as client,
    ):
        for _ in range(2):
            client.chat.completions.create(model=MODEL, messages=named, seed=1, temperature=0.5)
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    assert [record.getMessage() for record in caplog.records] == [
        "parameter `seed` has no counterpart in the Responses API: dropped; told once for each parameter",
        "parameter `messages[0].name` has no counterpart in the Responses API: dropped; told once for each parameter",
    ]
    dropped = ["seed", "messages[0].name", "messages[1].name"]
    assert [event.notes.get("dropped") for event in recorder.of(CallFinished)] == [dropped, dropped, None]
    assert inner.calls[0].params == {
        "model": MODEL,
        "temperature": 0.5,
        "input": [{"type": "message", "role": "user", "content": "Hi"}] * 2,
        "store": False,
    }


def test_a_stream_of_which_several_choices_were_dropped_is_complete() -> None:
    """One is all there can be."""
    recorder = Recorder()
    transport = ResponsesTransport(ScriptedTransport(default="Hello"), lossy="warn")
    with scripted(transport, passthrough, recorder) as client:
        ask = chat(n=3, stream=True)
        with client.chat.completions.create(**ask) as stream:
            assert texts(stream) == "Hello"
    assert recorder.finished.outcome == "ok"


@pytest.mark.parametrize("lossy", ["ignore", None, True])
def test_another_way_to_lose_is_an_error(lossy: Any) -> None:
    """When the transport is made."""
    with pytest.raises(OptionError, match="takes 'refuse' or 'warn'"):
        ResponsesTransport(lossy=lossy)


# Connections ----------------------------------------------------------------------------------------------------------


def test_a_stream_closed_early_gives_its_connection_back(side: ResponsesSide, server: LocalServer) -> None:
    """At once; the server sees it."""
    rig = side.local(server)

    async def program() -> None:
        gate = server.gate(after=6)
        stream = await side.do(rig.create(stream=True))
        async for _ in side.each(stream):
            break
        await side.close(stream)
        gate.release()
        rig.assert_clean()
        await side.close(rig.client)

    side.run(program)
    assert rig.finished.outcome == "incomplete"


@trio_complains
def test_a_stream_that_is_dropped_gives_its_connection_back(side: ResponsesSide, server: LocalServer) -> None:
    """As soon as nobody has it."""
    rig = side.local(server)

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        async for _ in side.each(stream):
            break
        del stream
        await side.settle()
        rig.assert_clean()
        await side.close(rig.client)

    side.run(program)


@trio_complains
@pytest.mark.parametrize("bare", [False, True], ids=["layered", "bare"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_cancelled_at_every_await(
    server: LocalServer,
    program: Callable[[Rig], Any],
    way: Way,
    bare: bool,  # noqa: FBT001
) -> None:
    """No connection is left in use, every attempt and every call is in the books."""
    side = ResponsesSide(way.loop)
    server.next(times=None, event_delay=0.0005)
    strikes = Strikes(side, lambda: side.local(server, bare=bare), program, way)
    side.run(strikes.everywhere)


class Closable(ScriptedTransport):
    """A transport that can be closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


class AsyncClosable(ScriptedTransport):
    """One that only an async program can close."""

    closed = 0

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed += 1


@pytest.mark.parametrize("kind", [Closable, AsyncClosable])
def test_closing_closes_the_inner_transport(kind: Any) -> None:
    """In a sync program and in an async one; the built-in one has nothing to close."""
    inner = kind()
    Stack([], transport=ResponsesTransport(inner)).close()
    asyncio.run(Stack([], transport=ResponsesTransport(inner)).aclose())
    assert inner.closed == 2
    Stack([], transport=ResponsesTransport(OpenAITransport())).close()
    asyncio.run(Stack([], transport=ResponsesTransport()).aclose())


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
