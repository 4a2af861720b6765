"""What goes wrong goes wrong as with the SDK: the same error, the same attributes, the same requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any

import openai
import pytest
from openai import _streaming

import llmstack
from llmstack.testing import LocalServer
from tests.clients.calls import chat
from tests.clients.differential import Attempt, Items, Outcome, Within, aobserve, assert_same, observe
from tests.clients.stacks import empty, full

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

Order = Callable[[LocalServer], Any]
SOON = {"retry-after-ms": "1"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def order(*given: Any, **options: Any) -> Order:
    return lambda server: server.next(*given, **options)


def orders(*several: Order) -> Order:
    return lambda server: [one(server) for one in several]


# Programs: one exchange in every mode, each followed by another one on the same client -------------------------------


def plain(client: Any) -> Generator[Any, Any, Any]:
    yield Attempt(lambda: client.chat.completions.create(**chat()))
    yield client.models.retrieve("m")


def raw(client: Any) -> Generator[Any, Any, Any]:
    response = yield Attempt(lambda: client.chat.completions.with_raw_response.create(**chat()))
    if not isinstance(response, Exception):
        yield Attempt(response.parse)
    yield client.models.retrieve("m")


def streaming(client: Any) -> Generator[Any, Any, Any]:
    def read(response: Any) -> Generator[Any, Any, Any]:
        yield response
        yield Attempt(response.parse)

    yield Within(client.chat.completions.with_streaming_response.create(**chat()), read)


def streamed(client: Any) -> Generator[Any, Any, Any]:
    stream = yield Attempt(lambda: client.chat.completions.create(**chat(stream=True)))
    if isinstance(stream, Exception):
        return
    following = stream.__anext__ if isinstance(client, openai.AsyncOpenAI) else stream.__next__
    for _ in range(12):
        chunk = yield Attempt(following)
        if isinstance(chunk, Exception):
            break
    yield Attempt(following)
    yield stream.close()
    yield stream


def responses_streamed(client: Any) -> Generator[Any, Any, Any]:
    stream = yield Attempt(lambda: client.responses.create(model="m", input="Hi", stream=True))
    if isinstance(stream, Exception):
        return
    following = stream.__anext__ if isinstance(client, openai.AsyncOpenAI) else stream.__next__
    for _ in range(20):
        chunk = yield Attempt(following)
        if isinstance(chunk, Exception):
            break
    yield stream.close()


def helper(client: Any) -> Generator[Any, Any, Any]:
    def read(stream: Any) -> Generator[Any, Any, Any]:
        yield Items(stream)

    yield Within(client.chat.completions.stream(**chat()), read)


WHOLE = (plain, raw, streaming)
STREAMS = (streamed, responses_streamed, helper)

STATUSES: dict[str, Order] = {
    "400": order(400),
    "400 content filter": order(400, code="content_filter"),
    "401": order(401),
    "403": order(403),
    "404": order(404),
    "408": order(408),
    "409": order(409),
    "413": order(413),
    "418": order(418),
    "422": order(422),
    "429": order(429, headers={"retry-after": "1"}),
    "429 no quota": order(429, code="insufficient_quota"),
    "500": order(500),
    "503": order(503, headers={"x-request-id": None}),
    "529": order(529),
    "error of text": order(500, body="upstream said no"),
    "error of a list": order(500, body=[1, 2]),
    "error that is a string": order(400, body={"error": "no"}),
    "error without a message": order(400, body={"error": {"code": "odd", "param": 3, "type": None}}),
    "error of null": order(400, body={"error": None}),
    "error of nothing": order(502, fault="empty"),
    "error of html": order(502, fault="html"),
    "redirect": order(307, headers={"location": "/v1/models/other"}, body={}),
    "redirect to nowhere": order(302, body={}),
}

BODIES: dict[str, Order] = {
    "html": order(fault="html"),
    "empty": order(fault="empty"),
    "truncated": order(fault="truncated_json"),
    "wrong shape": order(fault="wrong_shape"),
    "error in a 200": order(fault="error_body"),
    "no usage": order(fault="usage", usage=None),
    "odd usage": order(fault="usage", usage={"total_tokens": "many", "prompt_tokens": -1}),
    "null": order(200, body=b"null", headers={"content-type": "application/json"}),
    "a list": order(200, body=[1]),
    "a number": order(200, body=b"3", headers={"content-type": "application/json"}),
    "no utf-8": order(200, body=b'{"id": "\xff"}', headers={"content-type": "application/json"}),
    "another charset": order(
        200, body='{"id": "\xe9"}'.encode("latin-1"), headers={"content-type": "application/json; charset=latin-1"}
    ),
    "json called text": order(200, body=b'{"id": "x"}', headers={"content-type": "text/plain"}),
    "json of no type": order(200, body=b'{"id": "x"}', headers={"content-type": None}),
    "unknown fields": order(200, body={"id": "x", "new": {"a": [1]}, "choices": [{"index": "0", "odd": 1}]}),
    "nan": order(200, body=b'{"id": NaN}', headers={"content-type": "application/json"}),
    "empty 204": order(204, body=b""),
}

LINES: dict[str, Order] = {
    "closed": order(fault="close"),
    "reset": order(fault="reset"),
    "garbage": order(fault="garbage"),
    "too long a length": order(fault="bad_length"),
    "cut": order(fault="cut"),
}

EVENTS: dict[str, Order] = {
    "cut": order(fault="cut", after=3),
    "cut at once": order(fault="cut", after=0),
    "reset": order(fault="reset", after=3),
    "no finish": order(fault="no_finish"),
    "bad json": order(fault="bad_json_event", after=3),
    "bad json first": order(fault="bad_json_event", after=0),
    "error event": order(fault="error_event", after=3, code="server_error"),
    "error event first": order(fault="error_event", after=0),
    "error event of text": order(fault="error_event", after=3, error="no"),
    "truncated": order(fault="truncated_sse", after=3),
    "content filter": order(fault="content_filter"),
    "wrong shape": order(fault="wrong_shape"),
}

FAULTS = STATUSES | BODIES | LINES
STREAM_FAULTS = {
    **EVENTS,
    **{f"line {name}": fault for name, fault in LINES.items()},
    **{name: STATUSES[name] for name in ("400", "429", "500", "error of html")},
}
KINDS = {"empty": empty, "full": full}

# Known differences ---------------------------------------------------------------------------------------------------


# Early SDKs let the errors of their HTTP library out of streams; ours are always the SDK's.
WRAPS_ERRORS_OF_STREAMS = hasattr(_streaming, "request_exceptions")


def assert_wrapped(ours: Outcome, theirs: Outcome) -> None:
    """The same up to the error, which is the SDK's, caused by that of the HTTP library."""
    assert ours.received == theirs.received
    at = next(i for i, step in enumerate(theirs.steps) if "httpx2" in str(step)[:40])
    if ours.steps[:at] == theirs.steps[:at]:
        error = ours.values[at]
        assert isinstance(error, openai.APIConnectionError)
        assert type(error.__cause__) is type(theirs.values[at])


# Where `Retry` is in the stack, a 200 that is no answer is an error, and so is an event that cannot be read.
REFUSED = openai.APIResponseValidationError
NO_ANSWERS: dict[str, type[openai.APIError]] = {
    "html": REFUSED,
    "empty": REFUSED,
    "truncated": REFUSED,
    "wrong shape": REFUSED,
    "error in a 200": openai.APIError,
    "null": REFUSED,
    "a list": REFUSED,
    "a number": REFUSED,
    "no utf-8": REFUSED,
    "another charset": REFUSED,
    "json called text": REFUSED,
    "json of no type": REFUSED,
    "unknown fields": REFUSED,  # a choice without its message is among them
    "nan": REFUSED,
}
UNREADABLE = {"bad json", "bad json first"}


def assert_refused(ours: Outcome, theirs: Outcome, kind: type[openai.APIError]) -> None:
    """Instead of what the SDK makes of the body; the connection is as usable afterwards."""
    # Not all that the SDK makes of them can even be looked at.
    assert ours.requests[:1] == theirs.requests[:1]
    error, model = ours.values
    assert type(error) is kind
    assert getattr(error, "request_id", None) == "req_1"
    assert model.id == "m"


def assert_unreadable(ours: Outcome, theirs: Outcome) -> None:
    """The same but for the error, which is the SDK's own."""
    at = next(i for i, value in enumerate(theirs.values) if isinstance(value, json.JSONDecodeError))
    assert type(ours.values[at]) is openai.APIResponseValidationError
    for seen in (ours, theirs):
        del seen.steps[at], seen.values[at]
    assert_same(ours, theirs)


def assert_like_the_sdks(ours: Outcome, theirs: Outcome, stack: str, fault: str, program: Any) -> None:
    if stack == "full" and fault in NO_ANSWERS and program in (plain, raw):
        assert_refused(ours, theirs, NO_ANSWERS[fault])
    elif stack == "full" and fault in UNREADABLE and program in STREAMS:
        assert_unreadable(ours, theirs)
    elif (
        not WRAPS_ERRORS_OF_STREAMS and program in STREAMS and any("httpx2" in str(step)[:40] for step in theirs.steps)
    ):
        assert_wrapped(ours, theirs)
    else:
        assert_same(ours, theirs)


# Tests --------------------------------------------------------------------------------------------------------------


def observed(kind: Any, fault: Order, program: Any, **options: Any) -> Outcome:
    with LocalServer() as server:
        fault(server)
        return observe(kind, server, program, **options)


async def aobserved(kind: Any, fault: Order, program: Any, **options: Any) -> Outcome:
    with LocalServer() as server:
        fault(server)
        return await aobserve(kind, server, program, **options)


def each(faults: Any, programs: Any) -> Any:
    def decorate(test: Any) -> Any:
        test = pytest.mark.parametrize("program", programs, ids=lambda program: program.__name__)(test)
        return pytest.mark.parametrize("fault", list(faults))(test)

    return decorate


def compare(faults: dict[str, Order], fault: str, program: Any) -> None:
    theirs = observed(openai.OpenAI, faults[fault], program)
    for name, stack in KINDS.items():
        ours = observed(llmstack.OpenAI, faults[fault], program, stack=stack())
        assert_like_the_sdks(ours, theirs, name, fault, program)


async def acompare(faults: dict[str, Order], fault: str, program: Any) -> None:
    theirs = await aobserved(openai.AsyncOpenAI, faults[fault], program)
    for name, stack in KINDS.items():
        ours = await aobserved(llmstack.AsyncOpenAI, faults[fault], program, stack=stack())
        assert_like_the_sdks(ours, theirs, name, fault, program)


@each(FAULTS, WHOLE)
def test_a_failure_equals_the_sdks(fault: str, program: Any) -> None:
    """Error statuses, malformed bodies, broken connections; the connection is as usable afterwards."""
    compare(FAULTS, fault, program)


@each(FAULTS, WHOLE)
async def test_an_async_failure_equals_the_sdks(fault: str, program: Any) -> None:
    """The same with async clients."""
    await acompare(FAULTS, fault, program)


@each(STREAM_FAULTS, STREAMS)
def test_a_failing_stream_equals_the_sdks(fault: str, program: Any) -> None:
    """What was delivered before stays; then the same error, or the same quiet end."""
    compare(STREAM_FAULTS, fault, program)


@each(STREAM_FAULTS, STREAMS)
async def test_an_async_failing_stream_equals_the_sdks(fault: str, program: Any) -> None:
    """The same with async clients."""
    await acompare(STREAM_FAULTS, fault, program)


RETRIED: dict[str, Order] = {
    "once": order(500, headers=SOON),
    "twice": orders(order(503, headers=SOON), order(429, headers=SOON)),
    "too often": order(500, headers=SOON, times=3),
    "closed once": order(fault="close"),
    "told to": order(400, headers={**SOON, "x-should-retry": "true"}),
    "told not to": order(500, headers={**SOON, "x-should-retry": "false"}),
    "too long": order(429, headers={"retry-after": "121"}),
}


@each(RETRIED, (*WHOLE, streamed, helper))
def test_retries_equal_the_sdks(fault: str, program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many requests with the same headers, whether the SDK sends them or `Retry` does."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    theirs = observed(openai.OpenAI, RETRIED[fault], program, max_retries=2)
    for stack in KINDS.values():
        assert_same(observed(llmstack.OpenAI, RETRIED[fault], program, max_retries=2, stack=stack()), theirs)


@each({"hang": None, "stall": None}, (plain, streamed))
def test_time_outs_equal_the_sdks(fault: str, program: Any) -> None:
    """While waiting for an answer, and for the rest of one."""
    hanging = order(fault=fault, after=3) if fault == "stall" and program is streamed else order(fault=fault)
    theirs = observed(openai.OpenAI, hanging, program, timeout=0.2)
    for name, stack in KINDS.items():
        ours = observed(llmstack.OpenAI, hanging, program, timeout=0.2, stack=stack())
        assert any("APITimeoutError" in str(step) for step in ours.steps)
        assert_like_the_sdks(ours, theirs, name, fault, program)
