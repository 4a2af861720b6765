"""Situations: what the provider and the program do while a plugin is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from llmstack._core.call import Call
from llmstack._core.pace import Pace
from llmstack._core.reply import Reply
from llmstack._wire.answer import replayed
from llmstack._wire.sse import ServerSentEvent, encode
from llmstack.testing._conformance.sample import Sample
from llmstack.testing.scripted import Status, text_body

__all__ = ["ANSWERED", "BROKEN_OFF", "DOWN", "ODD", "SITUATIONS", "STOPPED", "Situation"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What happens to a call.

    Attributes:
        name: How a failure speaks of it.
        step: What the provider does: a step of a `ScriptedTransport`.
        streamed: True if it can happen to a stream only.
        stops: True if the program stops reading at the first content.
    """

    name: str
    step: Callable[[Sample, Call], Any]
    streamed: bool = False
    stops: bool = False

    def __str__(self) -> str:
        """Its name."""
        return self.name


def _answer(sample: Sample, call: Call) -> Any:
    body = text_body(call, sample.answer) if isinstance(sample.answer, str) else sample.answer
    if not (call.stream and isinstance(body, Mapping)):
        return body
    # In several pieces, as a provider does it.
    reply = Reply(dict(body), pace=Pace(characters=7, seconds=0.01))
    return [encode(ServerSentEvent(event.event, event.data)) for event in replayed(call, reply)]


def _broken(sample: Sample, call: Call) -> Any:
    pieces = _answer(sample, call)
    return [*pieces[: len(pieces) // 2 + 1], _lost(call)] if isinstance(pieces, list) else _lost(call)


def _lost(call: Call) -> openai.APIConnectionError:
    return openai.APIConnectionError(request=_request(call))


def _request(call: Call) -> httpx2.Request:
    return httpx2.Request(call.method, "http://conformance.invalid" + call.path)


def _always(step: Any) -> Callable[[Sample, Call], Any]:
    return lambda _sample, _call: step


ANSWERED = Situation("the provider answers", _answer)
DOWN = Situation("the provider is down (503)", _always(Status(503)))
STOPPED = Situation("the program stops reading", _answer, streamed=True, stops=True)
BROKEN_OFF = Situation("the stream breaks off", _broken, streamed=True)
SITUATIONS = (
    ANSWERED,
    DOWN,
    Situation("the provider objects (400)", _always(Status(400, code="invalid_value"))),
    Situation("there are too many requests (429)", _always(Status(429, headers={"retry-after": "1"}))),
    Situation("the connection is lost", lambda _sample, call: _lost(call)),
    Situation("the provider is too slow", lambda _sample, call: openai.APITimeoutError(request=_request(call))),
    STOPPED,
    BROKEN_OFF,
)
"""In each of them a program sees the same, whatever client it uses."""

ODD = (
    Situation("the answer is a JSON object of another kind", _always({"object": "unexpected", "choices": None})),
    Situation("the answer is a JSON list", _always(b"[1, 2]")),
    Situation("the answer is a page of HTML", _always(b"<html>Bad gateway</html>")),
    Situation("the answer is empty", _always(b"")),
)
"""Answers that nobody should get, and everybody does one day."""
