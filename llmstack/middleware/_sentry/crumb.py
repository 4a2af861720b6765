"""Crumb: the turns of a call as breadcrumbs, seen with whatever error the program reports next."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from llmstack.events import CallFinished, CircuitClosed, CircuitOpened, Event, RetryScheduled, RetryStopped
from llmstack.middleware._sentry import safe

__all__ = ["CATEGORY", "crumb", "may_be_told"]

CATEGORY = "llmstack"

Told = tuple[str, str, dict[str, Any]]
"""Level, message, data."""


def may_be_told(event: Event) -> bool:
    """Whether this kind of event may be worth a breadcrumb. Quick, since most are not and it is asked of all."""
    return type(event) in _MADE or hasattr(event, "alert")


def crumb(event: Event) -> None:
    """Leave a breadcrumb, if this kind of event is worth one.

    An event of another plugin is, if it has a text in `alert`: ``alert: str = "80 % of today's budget is spent"``.
    Its numbers go along; its other texts do not, since nothing is known of them.
    """
    made = _MADE.get(type(event), _alert)(event)
    if made is None:
        return
    import sentry_sdk

    level, message, data = made
    call = event.call
    known = {"call_id": call.id, "endpoint": call.endpoint, "model": call.model, "tenant": call.tenant, **data}
    shown = {name: safe.short(value) for name, value in known.items() if value is not None}
    sentry_sdk.add_breadcrumb(category=CATEGORY, level=level, message=safe.short(message, 1000), data=shown)


def _error(error: BaseException | None) -> dict[str, Any]:
    return {} if error is None else {"error": type(error).__name__, **safe.facts(error)}


def _retry(event: RetryScheduled) -> Told:
    message = f"attempt {event.number} failed: another follows"
    return "info", message, {"attempt": event.number, "delay": round(event.delay, 3), **_error(event.error)}


_WHY = {
    "attempts": "there were enough attempts",
    "budget": "the retry budget is spent",
    "deadline": "the deadline would pass",
    "retry_after": "the server asks for too long a wait",
    "circuit": "the circuit is open",
}


def _stopped(event: RetryStopped) -> Told:
    why = _WHY.get(event.reason, event.reason)
    message = f"attempt {event.number} failed, none follows: {why}"
    return "warning", message, {"attempt": event.number, "reason": event.reason, **_error(event.error)}


def _opened(event: CircuitOpened) -> Told:
    message = f"circuit opened: {event.failures} of {event.calls} calls failed"
    data = {"failures": event.failures, "calls": event.calls, "retry_after": round(event.retry_after, 3)}
    return "warning", message, {"host": event.call.host, **data}


def _closed(event: CircuitClosed) -> Told:
    return "info", "circuit closed", {"host": event.call.host}


def _finished(event: CallFinished) -> Told | None:
    if event.outcome == "refused":
        why = "" if event.error is None else f": {safe.text(event.error)}"
        return "warning", f"refused{why}", _error(event.error)
    if event.cached:
        return "info", "answered from the cache", {}
    return None


def _alert(event: Event) -> Told | None:
    alert = getattr(event, "alert", None)
    if not isinstance(alert, str) or not alert:
        return None
    values = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    numbers = {name: value for name, value in values.items() if isinstance(value, (bool, int, float))}
    # Sentry's JSON knows no Decimal; money stays exact as text.
    money = {name: str(value) for name, value in values.items() if isinstance(value, Decimal)}
    return "warning", alert, numbers | money


_MADE: dict[type[Event], Callable[[Any], Told | None]] = {
    RetryScheduled: _retry,
    RetryStopped: _stopped,
    CircuitOpened: _opened,
    CircuitClosed: _closed,
    CallFinished: _finished,
}
