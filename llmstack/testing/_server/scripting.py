"""Answers supplied by a test's own function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from llmstack.testing._api.answer import DONE, Answer, Event, EventAnswer, JsonAnswer
from llmstack.testing._server.records import ReceivedRequest

Script: TypeAlias = Callable[[ReceivedRequest], dict[str, Any] | list[Any] | None]
"""From a request to its answer: a JSON object, a list of events, or ``None`` for the usual answer."""


def scripted_answer(script: Script, request: ReceivedRequest) -> Answer | None:
    """What ``script`` makes of ``request``.

    An event is a dict, sent as JSON, or a string, sent as it is. One of the shape ``{"event": ..., "data": ...}``
    names itself; one with a ``type`` (Responses) is named by that. A stream ends in ``[DONE]``, as the API's do, unless
    it is one of Responses or the script said so itself.
    """
    given = script(request)
    if given is None or isinstance(given, dict):
        return None if given is None else JsonAnswer(given)
    events = tuple(map(_event, given))
    ends_itself = request.path.rstrip("/").endswith("/responses") or "/responses/" in request.path
    if ends_itself or (events and events[-1].data == DONE.data):
        return EventAnswer(events)
    return EventAnswer((*events, DONE))


def _event(given: Any) -> Event:
    if isinstance(given, dict) and given.keys() == {"event", "data"}:
        return Event(given["data"], name=given["event"])
    if isinstance(given, dict) and isinstance(given.get("type"), str):
        return Event(given, name=given["type"])
    return Event(given)
