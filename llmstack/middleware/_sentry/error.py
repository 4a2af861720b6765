"""Error: the one event that tells of a failed call.

Frames carry no local variables, not even the program's: at this place all of them hold the call, its messages or the
reply. Texts of exceptions are replaced by what is safe to tell, unless content is allowed.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from types import FrameType
from typing import Any

from llmstack.events import CallFinished
from llmstack.middleware._sentry import safe
from llmstack.middleware._sentry.client import options
from llmstack.middleware._sentry.overlap import related
from llmstack.secrets import mask, mask_all

__all__ = ["clean", "report"]

_LIBRARIES = frozenset({
    "llmstack", "openai", "httpx2", "httpcore2", "httpx", "httpcore", "h11", "h2", "anyio", "sniffio", "tenacity",
    "pluggy", "sentry_sdk",
})  # fmt: skip
"""Whose frames hold the call; in events that others send of our errors these lose their local variables."""

_MOST_FRAMES = 32
_LONGEST_TAG = 200


def report(event: CallFinished, *, content: bool, trace: dict[str, Any] | None) -> None:
    """Send the event.

    Args:
        event: The end of the call; it has an error.
        content: Whether the error's text may be shown.
        trace: The span that it belongs to; None for the current one.
    """
    import sentry_sdk
    from sentry_sdk.utils import event_from_exception

    error = event.error
    if error is None:
        return
    said = {**options(), "include_local_variables": False, "add_full_stack": False}
    # Seen by the program or not: that cannot be known here. Whether it crashed, whoever catches it last will tell.
    mechanism = {"type": "llmstack", "handled": True}
    made, hint = event_from_exception(error, client_options=said, mechanism=mechanism)
    told: dict[str, Any] = dict(made)
    clean(told, error, content=content, whole=True)
    with contextlib.suppress(Exception):  # good to have; the event is worth sending without it
        _add_program(told, said)
    told["level"] = "warning" if event.outcome == "refused" else "error"
    told["fingerprint"] = safe.short(["llmstack", event.call.endpoint or event.call.path, safe.code(error)])
    told["tags"] = _tags(event)
    told["contexts"] = _contexts(event)
    if trace is not None:
        told["contexts"]["trace"] = trace
    sentry_sdk.capture_event(told, hint=hint)  # type: ignore[arg-type]


def clean(event: Any, error: BaseException, *, content: bool, whole: bool) -> None:
    """Take out of an event what it must not tell of an error.

    Args:
        event: An event of Sentry's, changed in place.
        error: The error of ours that is in it.
        content: Whether texts may be shown; secrets are masked in any case.
        whole: True if the whole event is ours: no frame keeps its local variables, no text is left unknown.
    """
    texts: dict[str, list[str]] = {}
    for found in related(error):
        texts.setdefault(type(found).__qualname__, []).append(safe.text(found))
        if not content:
            _quoted(event, found)
    # Sentry lists them from the innermost.
    for value in reversed((event.get("exception") or {}).get("values") or ()):
        if content:
            value["value"] = mask(str(value.get("value") or ""))
        elif known := texts.get(str(value.get("type"))):
            value["value"] = known.pop(0) if len(known) > 1 else known[0]
        elif whole:
            value["value"] = safe.WITHHELD
        for frame in _frames(value):
            if whole or str(frame.get("module")).partition(".")[0] in _LIBRARIES:
                _strip(frame)


def _quoted(event: Any, error: BaseException) -> None:
    """A log line that tells of the error often quotes it; asyncio does so with each task whose error nobody takes."""
    entry = event.get("logentry")
    said = str(error)
    if not isinstance(entry, dict) or not said or said == (told := safe.text(error)):
        return
    for form in (repr(said)[1:-1], said):
        for name in ("message", "formatted"):
            if isinstance(entry.get(name), str):
                entry[name] = entry[name].replace(form, told)
        if isinstance(entry.get("params"), (list, tuple)):
            entry["params"] = [str(param).replace(form, told) for param in entry["params"]]


def _strip(frame: dict[str, Any]) -> None:
    frame.pop("vars", None)
    # A line of source may quote a key.
    frame.update(mask_all(frame))


def _frames(value: dict[str, Any]) -> list[dict[str, Any]]:
    trace = value.get("stacktrace")
    frames = trace.get("frames") if isinstance(trace, dict) else None
    return frames if isinstance(frames, list) else []


def _add_program(event: dict[str, Any], said: dict[str, Any]) -> None:
    """Put before the frames where the error arose those where the program made the call."""
    from sentry_sdk.utils import serialize_frame

    values = event["exception"]["values"]
    if not values or not (frames := _frames(values[-1])):
        return
    made = [
        serialize_frame(
            frame,
            include_local_variables=False,
            include_source_context=said.get("include_source_context", True),
            max_value_length=said.get("max_value_length"),
        )
        for frame in _program()
    ]
    for frame in made:
        _strip(frame)
    frames[:0] = reversed(made)


def _program() -> Iterator[FrameType]:
    """The program's frames, innermost first: what is left of the stack without the libraries on top of it."""
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _LIBRARIES:
        frame = frame.f_back
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _tags(event: CallFinished) -> dict[str, str]:
    call = event.call
    tags = {f"llmstack.tag.{label}": value for label, value in call.tags.items()}
    known = {
        "llmstack.endpoint": call.endpoint,
        "llmstack.model": call.model,
        "llmstack.tenant": call.tenant,
        "llmstack.error": safe.code(event.error),
    }
    tags |= {name: value for name, value in known.items() if value}
    return {safe.short(name)[:_LONGEST_TAG]: safe.short(value)[:_LONGEST_TAG] for name, value in tags.items()}


def _contexts(event: CallFinished) -> dict[str, Any]:
    call, error = event.call, event.error
    known = {
        "id": call.id,
        "endpoint": call.endpoint,
        "path": call.path,
        "host": call.host or None,
        "model": call.model,
        "stream": call.stream,
        "attempts": event.attempts,
        "duration": round(event.duration, 4),
        "time_to_first_chunk": event.time_to_first_chunk,
        "request_id": event.request_id,
        **safe.facts(error),
    }
    contexts: dict[str, Any] = {"llm call": {name: value for name, value in known.items() if value is not None}}
    if results := safe.filter_results(error):
        contexts["content filter"] = results
    if inner := safe.inner_code(error):
        contexts["inner error"] = {"code": inner}
    masked: dict[str, Any] = safe.short(contexts)
    return masked
