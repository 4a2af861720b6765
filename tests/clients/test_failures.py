"""What goes wrong goes wrong as with the SDK: the same error, the same attributes, the same requests."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

import llmstack
from llmstack.testing import LocalServer
from tests.clients.differential import Outcome, aobserve, assert_same, observe
from tests.clients.faults import (
    FAULTS,
    STREAM_FAULTS,
    STREAMS,
    WHOLE,
    WRAPS_ERRORS_OF_STREAMS,
    Order,
    helper,
    order,
    plain,
    raw,
    streamed,
)
from tests.clients.stacks import empty, full

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
SOON = {"retry-after-ms": "1"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def orders(*several: Order) -> Order:
    return lambda server: [one(server) for one in several]


KINDS = {"empty": empty, "full": full}

# Known differences ---------------------------------------------------------------------------------------------------


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
