"""Nothing that a call carries gets out by itself: all endpoints, every fault, every observer at its most talkative."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

import llmstack
from llmstack import Stack
from llmstack.middleware import CircuitBreaker, Logging, Retry, Sentry
from llmstack.testing import FakeClock, LocalServer, Recorder
from tests.clients.calls import CALLS
from tests.clients.differential import KEY, aobserve, observe
from tests.clients.faults import FAULTS, STREAM_FAULTS, STREAMS, WHOLE
from tests.clients.programs import SCRIPTS
from tests.middleware.sentry_rig import Rig, sentry

__all__ = ["sentry"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]

_SHORTEST = 12
"""Characters of a text that is looked for: shorter ones (a city, a colour) turn up by themselves."""

_CONTENT = frozenset({"content", "input", "instructions", "messages", "prompt", "text", "output_text", "arguments"})
"""The fields of requests and answers whose texts are the customer's."""


class Ears:
    """All that the observers say."""

    def __init__(self, rig: Rig, capture: Any, handler: Any) -> None:
        self._rig = rig
        self._capture = capture
        self._handler = handler

    def stack(self) -> Stack:
        """Everything on: two logs at DEBUG, Sentry with spans, breadcrumbs and errors."""
        observers = [Logging(format="json", level="DEBUG"), Logging(), Sentry(), Recorder()]
        return Stack([Retry(breaker=CircuitBreaker(min_calls=1000)), *observers], clock=FakeClock())

    def heard(self, stack: Stack) -> str:
        """What was said, all of it; and the representation of every event."""
        stack.close()
        out, err = self._capture.readouterr()
        records = [f"{record.getMessage()} {record.__dict__}" for record in self._handler.records]
        recorder: Any = stack.plugins["recorder"]
        # What a provider says of an error is the program's to see, in the error itself.
        events = [repr(event).replace(repr(getattr(event, "error", None)), "") for event in recorder.events]
        assert len(err.splitlines()) >= len(events) // 4 > 0
        assert records
        return "\n".join([out, err, *records, *events, self._rig.transport.text])


@pytest.fixture
def ears(sentry: Rig, capfd: pytest.CaptureFixture[str]) -> Iterator[Ears]:
    """Logs and Sentry, as eager as a program can make them: prompts would be let through, if anybody sent them."""
    structlog.reset_defaults()
    sentry.init(send_default_pii=True, include_local_variables=True, max_breadcrumbs=1000)
    logger = logging.getLogger("llmstack")
    handler = Kept()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield Ears(sentry, capfd, handler)
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


class Kept(logging.Handler):
    """Keeps the records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)


def customers_words(server: LocalServer) -> set[str]:
    """The texts in what the server was sent, and in what it answered to them."""
    found: set[str] = {"You said: ", "Tool said: "}
    for request in server.requests:
        found |= set(_texts(request.json, own=False))
    return {text for text in found if len(text) >= _SHORTEST or text.endswith("said: ")}


def _texts(value: Any, *, own: bool) -> Iterator[str]:
    if isinstance(value, str) and own:
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, own=own or name in _CONTENT)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, own=own)


def assert_silent(heard: str, server: LocalServer) -> None:
    """Neither keys nor words."""
    assert KEY not in heard
    assert "not-a-key" not in heard
    escaped = {json.dumps(text)[1:-1] for text in customers_words(server)}
    assert sorted(text for text in escaped if text in heard) == []


def test_these_ears_do_hear(ears: Ears) -> None:
    """Where content is asked for, it is found: so what is not found elsewhere is not there."""
    stack = ears.stack().with_plugins(Logging(format="json", content="full", stream="stdout"))
    with LocalServer() as server:
        observe(llmstack.OpenAI, server, WHOLE[0], stack=stack)
        with pytest.raises(AssertionError):
            assert_silent(ears.heard(stack), server)


@pytest.mark.parametrize("program", [*(call.plain for call in CALLS), *(script.play for script in SCRIPTS)])
def test_no_endpoint_lets_anything_out(ears: Ears, program: Any) -> None:
    """Whatever is asked, however it is read."""
    stack = ears.stack()
    with LocalServer() as server:
        observe(llmstack.OpenAI, server, program, stack=stack)
        assert_silent(ears.heard(stack), server)


@pytest.mark.parametrize("fault", [*FAULTS, *STREAM_FAULTS])
def test_no_fault_lets_anything_out(ears: Ears, fault: str) -> None:
    """An answer that is refused, filtered, broken or late is where secrets are lost."""
    stack = ears.stack()
    with LocalServer() as server:
        for programs, faults in ((WHOLE, FAULTS), (STREAMS, STREAM_FAULTS)):
            for program in programs if fault in faults else ():
                faults[fault](server)
                observe(llmstack.OpenAI, server, program, stack=stack)
        assert_silent(ears.heard(stack), server)


@pytest.mark.parametrize("fault", [*FAULTS, *STREAM_FAULTS])
async def test_no_async_fault_lets_anything_out(ears: Ears, fault: str) -> None:
    """The same in tasks."""
    stack = ears.stack()
    with LocalServer() as server:
        for programs, faults in ((WHOLE, FAULTS), (STREAMS, STREAM_FAULTS)):
            for program in programs if fault in faults else ():
                faults[fault](server)
                await aobserve(llmstack.AsyncOpenAI, server, program, stack=stack)
        assert_silent(ears.heard(stack), server)
