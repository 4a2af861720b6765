"""What the tests of streamed responses share."""

from __future__ import annotations

from typing import Any

from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from llmstack.transports._translation.responses_events import ResponseEvents
from tests.transports.translation.responses_completions import PARAMS

Json = dict[str, Any]

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def events(stream: list[Json], *, params: Json = PARAMS) -> list[Json]:
    """All events of a stream, each a valid one, numbered without a gap."""
    translator = ResponseEvents(params)
    found = [event for chunk in stream for event in translator.feed(chunk)]
    assert not translator.done
    last = translator.end()
    assert translator.done == bool(last)
    found += last
    for event in found:
        EVENT.validate_python(event)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def final(found: list[Json]) -> Json:
    """The response that the last event tells."""
    assert found[-1]["type"].rpartition(".")[2] == found[-1]["response"]["status"]
    response: Json = found[-1]["response"]
    return response
