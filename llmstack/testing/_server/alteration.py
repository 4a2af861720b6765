"""Faults of content: pure changes of an answer before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from llmstack.testing._api.answer import Answer, BytesAnswer, Event, EventAnswer, Json, JsonAnswer
from llmstack.testing._api.errors import error_body
from llmstack.testing._server.faults import Fault

_HTML = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>502 Bad gateway</h1></body></html>"

# the events a stream ends with, by the end of their names
_FINAL_NAMES = ("completed", "incomplete", "failed", "done")


def replacement(fault: Fault) -> Answer | None:
    """The answer that stands in for the endpoint's own, if the order brings one."""
    status = fault.status if fault.status is not None else HTTPStatus.OK
    if fault.fault == "html":
        return BytesAnswer(_HTML, "text/html; charset=utf-8", status)
    if fault.fault == "empty":
        return BytesAnswer(b"", "application/json", status)
    if fault.body is not None:
        return _given(fault.body, status)
    if fault.fault == "error_body" or status >= HTTPStatus.BAD_REQUEST:
        said = HTTPStatus.INTERNAL_SERVER_ERROR if status < HTTPStatus.BAD_REQUEST else status
        return JsonAnswer(error_body(said, message=fault.message, code=fault.code), status)
    return None


def _given(body: Any, status: int) -> Answer:
    if isinstance(body, bytes):
        return BytesAnswer(body, status=status)
    if isinstance(body, str):
        return BytesAnswer(body.encode(), "text/plain; charset=utf-8", status)
    return JsonAnswer(body, status)


def altered(answer: Answer, fault: Fault) -> Answer:
    """``answer`` with the content the order asks for; the given one is left as it was."""
    if fault.usage != "kept" or fault.fault == "usage":
        answer = _each(answer, lambda data: _with_usage(data, fault))
    change = _CHANGES.get(fault.fault or "")
    return change(answer, fault) if change else answer


def _each(answer: Answer, change: Callable[[Json], Json | None]) -> Answer:
    """``change`` applied to every JSON object in the answer; an event changed to ``None`` is dropped."""
    if isinstance(answer, JsonAnswer) and isinstance(answer.data, dict):
        return replace(answer, data=change(answer.data))
    if not isinstance(answer, EventAnswer):
        return answer
    events = []
    for event in answer.events:
        data = change(event.data) if isinstance(event.data, dict) else event.data
        if data is not None:
            events.append(replace(event, data=data))
    return replace(answer, events=tuple(events))


def _with_usage(data: Json, fault: Fault) -> Json | None:
    if isinstance(data.get("response"), dict):
        return {**data, "response": _with_usage(data["response"], fault)}
    usage = data.get("usage")
    if usage is None:
        return data
    if isinstance(fault.usage, str):
        rest = {key: value for key, value in data.items() if key != "usage"}
        # a chunk that was there for the usage alone goes with it
        return None if rest.get("choices") == [] else rest
    return {**data, "usage": {**usage, **fault.usage} if isinstance(fault.usage, Mapping) else None}


def _is_final(event: Event) -> bool:
    """Whether a client may take ``event`` for the end of the whole answer."""
    if event.name is not None:
        parts = event.name.split(".")
        # thread.message.completed ends a message, not the answer
        return parts[-1] in _FINAL_NAMES and parts[:-1] in ([], ["response"], ["thread", "run"])
    if not isinstance(event.data, dict):
        return True
    choices = event.data.get("choices") or []
    return any(choice.get("finish_reason") for choice in choices) or bool(event.data.get("usage"))


def _no_finish(answer: Answer, fault: Fault) -> Answer:
    if not isinstance(answer, EventAnswer):
        return answer
    events = tuple(event for event in answer.events if not _is_final(event))
    return replace(answer, events=events if fault.after is None else events[: fault.after])


def _bad_json_event(answer: Answer, fault: Fault) -> Answer:
    if not isinstance(answer, EventAnswer):
        return answer
    at = fault.events_before
    bad = Event('{"id": "chatcmpl-1", "choices": [{"delta"')
    return replace(answer, events=(*answer.events[:at], bad, *answer.events[at:]))


def _error_event(answer: Answer, fault: Fault) -> Answer:
    if not isinstance(answer, EventAnswer):
        return answer
    error = fault.error
    if error is None:
        error = error_body(HTTPStatus.INTERNAL_SERVER_ERROR, message=fault.message, code=fault.code)["error"]
    return replace(answer, events=(*answer.events[: fault.events_before], Event({"error": error})))


def _wrong_shape(answer: Answer, _fault: Fault) -> Answer:
    hollow = ("choices", "output", "data", "results", "response", "delta")
    return _each(answer, lambda data: {key: None if key in hollow else value for key, value in data.items()})


def _content_filter(answer: Answer, fault: Fault) -> Answer:
    """The reply ends early: streamed, after some events; otherwise with nothing said."""
    if isinstance(answer, EventAnswer):
        kept = (e for i, e in enumerate(answer.events) if i < fault.events_before or _is_final(e))
        answer = replace(answer, events=tuple(kept))
    changed = _each(answer, _filtered)
    if isinstance(changed, EventAnswer):
        events = tuple(
            replace(e, name="response.incomplete") if e.name == "response.completed" else e for e in changed.events
        )
        return replace(changed, events=events)
    return changed


def _filtered(data: Json) -> Json:
    if data.get("type") == "response.completed":
        return {**data, "type": "response.incomplete", "response": _filtered(data["response"])}
    if data.get("object") == "response":
        return {**data, "status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}
    if not data.get("choices"):
        return data
    return {**data, "choices": [_filtered_choice(choice) for choice in data["choices"]]}


def _filtered_choice(choice: Json) -> Json:
    changed = dict(choice)
    if changed.get("finish_reason"):
        changed["finish_reason"] = "content_filter"
    if "message" in changed:
        changed["message"] = {"role": "assistant", "content": "", "refusal": None}
    return changed


_CHANGES: dict[str, Callable[[Answer, Fault], Answer]] = {
    "bad_json_event": _bad_json_event,
    "content_filter": _content_filter,
    "error_event": _error_event,
    "no_finish": _no_finish,
    "wrong_shape": _wrong_shape,
}
