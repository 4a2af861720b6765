"""Logging: one line for every call."""

from __future__ import annotations

import logging
from typing import Any

import structlog

from llmstack._core.order import Stage
from llmstack.events import AttemptFinished, CallFinished, Event, RetryScheduled
from llmstack.hookspecs import hookimpl

_stdlib = logging.getLogger("llmstack")
# A library stays quiet until the program says where logs go.
_stdlib.addHandler(logging.NullHandler())


class Logging:
    """Logs each finished call at INFO (failed ones at WARNING) and each attempt and retry at DEBUG.

    Lines go through structlog if the program configured it, else to the standard library's logger ``llmstack``,
    which is silent until the program configures logging. No content, no key and no header is logged.
    """

    name = "logging"
    stage = Stage.WIRE

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        """Log what happened."""
        if isinstance(event, CallFinished):
            level = logging.INFO if event.outcome in ("ok", "incomplete") else logging.WARNING
            self._log(level, "llm.call", event, call_fields(event))
        elif isinstance(event, AttemptFinished):
            self._log(logging.DEBUG, "llm.attempt", event, attempt_fields(event))
        elif isinstance(event, RetryScheduled):
            fields = {"attempt": event.number, "delay": round(event.delay, 3), "error.type": type(event.error).__name__}
            self._log(logging.DEBUG, "llm.retry", event, fields)

    def _log(self, level: int, name: str, event: Event, fields: dict[str, Any]) -> None:
        shown: dict[str, Any] = {"call_id": event.call.id, "endpoint": event.call.endpoint}
        shown |= {key: value for key, value in fields.items() if value is not None}
        if structlog.is_configured():
            structlog.get_logger("llmstack").log(level, name, **shown)
        elif _stdlib.isEnabledFor(level):
            text = " ".join(
                f"{key}={value!r}" if isinstance(value, str) else f"{key}={value}" for key, value in shown.items()
            )
            _stdlib.log(level, "%s %s", name, text, extra={"llmstack": shown})


def call_fields(event: CallFinished) -> dict[str, Any]:
    """The fields of a finished call's line, named as in the OpenTelemetry GenAI conventions where they exist."""
    usage = event.usage
    return {
        "gen_ai.request.model": event.call.model,
        "gen_ai.response.model": event.model,
        "outcome": event.outcome,
        "http.response.status_code": event.status,
        "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
        "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
        "attempts": event.attempts,
        "cached": event.cached,
        "duration": round(event.duration, 4),
        "time_to_first_chunk": None if event.time_to_first_chunk is None else round(event.time_to_first_chunk, 4),
        "request_id": event.request_id,
        "tenant": event.call.tenant,
        "tags": dict(event.call.tags) or None,
        "error.type": type(event.error).__name__ if event.error is not None else None,
    }


def attempt_fields(event: AttemptFinished) -> dict[str, Any]:
    """The fields of an attempt's line."""
    return {
        "attempt": event.number,
        "outcome": event.outcome,
        "http.response.status_code": event.status,
        "duration": round(event.duration, 4),
        "request_id": event.request_id,
        "error.type": type(event.error).__name__ if event.error is not None else None,
    }
