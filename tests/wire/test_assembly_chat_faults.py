"""Chunks that are malformed, errors, late or too many: told, and never taken for a whole answer."""

from __future__ import annotations

import json

import pytest

from llmstack._wire.assembly import assembly
from llmstack._wire.sse import ServerSentEvent
from tests.wire.chat_chunks import STREAMS, USAGE, choice, chunk, fed


@pytest.mark.parametrize(
    "data", ["", "{", "nonsense", '{"a": "\ud800"', "[" * 100_000, '{"a":' * 5000, "1e999999", "null"]
)
@pytest.mark.parametrize("place", [0, 1, 3, 5])
def test_malformed_events(data: str, place: int) -> None:
    """They raise nothing, and the reply is not complete (if they are not JSON); the rest is still put together."""
    seen = assembly("chat.completions")
    events = [ServerSentEvent(data=json.dumps(value)) for value in STREAMS["plain"]]
    events.insert(place, ServerSentEvent(data=data))
    for event in events:
        assert seen.note(event) is None
    body = seen.body()
    assert body is not None
    assert body["choices"][0]["message"]["content"] == "Hello \u20ac"
    assert seen.complete() is (data in ("1e999999", "null"))
    assert seen.usage() == USAGE


@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize("error", [{"message": "m", "code": "c"}, "overloaded", ["x"], 1, True])
def test_error_events(error: object, after: int) -> None:
    """The value of "error" is returned wherever it comes; the reply is not complete."""
    seen = fed(STREAMS["plain"][:after], done=False)
    assert seen.note(ServerSentEvent(data=json.dumps({"error": error, "choices": []}))) == error
    for value in STREAMS["plain"][after:]:
        seen.note(ServerSentEvent(data=json.dumps(value)))
    assert not seen.complete()
    assert "error" not in (seen.body() or {})


@pytest.mark.parametrize("error", [None, "", {}, [], 0, False])
def test_falsy_errors_are_none(error: object) -> None:
    """As for the SDK, an empty error is not one."""
    seen = fed(STREAMS["plain"][:2], done=False)
    assert seen.note(ServerSentEvent(data=json.dumps({**chunk(choice({"content": "x"})), "error": error}))) is None
    assert seen.note(ServerSentEvent(data=json.dumps(chunk(choice({"content": '{"error": 1, "usage": {}}'}))))) is None
    assert seen.note(ServerSentEvent(data=json.dumps(chunk(choice({"content": "error"}, "stop"))))) is None
    assert seen.complete()
    assert seen.usage() is None


def test_nothing_counts_after_done() -> None:
    """The SDK stops reading at [DONE]; so do we."""
    seen = fed(STREAMS["plain"])
    count = len(seen.events())
    assert seen.note(ServerSentEvent(data='{"error": "x"}')) is None
    assert seen.note(ServerSentEvent(data="{")) is None
    assert len(seen.events()) == count
    assert seen.complete()


def test_beyond_the_limit() -> None:
    """The events are let go; flags, usage and completeness stay right."""
    for limit in (0, 600, 1500):
        seen = fed(STREAMS["n=2"], limit=limit, choices=2)
        assert seen.body() is None
        assert list(seen.events()) == []
        assert seen.content
        assert seen.done
        assert seen.usage() == USAGE
        assert seen.complete()
        assert not fed(STREAMS["n=2"][:5], limit=limit, choices=2).complete()
        broken = fed(STREAMS["n=2"], limit=limit, choices=2, done=False)
        broken.note(ServerSentEvent(data="{"))
        assert not broken.complete()
