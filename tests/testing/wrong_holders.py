"""Plugins that are wrong in what they hold and show: state, options, secrets, what they are told, their end."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

from llmstack import hookimpl
from tests.testing.passing_plugin import Passing

# Context ------------------------------------------------------------------------------------------------------------

_span: contextvars.ContextVar[str] = contextvars.ContextVar("span", default="")


class HoldsVariable(Passing):
    """Sets a context variable, and resets it when the reply is there."""

    @hookimpl
    def llmstack_call(self, call, next):
        token = _span.set(call.id)
        try:
            return (yield from next(call))
        finally:
            _span.reset(token)


class HoldsLock(Passing):
    """One call at a time."""

    def __init__(self):
        self._lock = threading.Lock()

    @hookimpl
    def llmstack_call(self, call, next):
        with self._lock:
            return (yield from next(call))


class HoldsItself(Passing):
    """Keeps a call's state on itself, where the next call puts its own."""

    def __init__(self):
        self._passed = None

    @hookimpl
    def llmstack_call(self, call, next):
        self._passed = [call]
        reply = yield from next(call)
        self._passed.pop()
        return reply


class HoldsThread(Passing):
    """Keeps a call's state in its thread."""

    def __init__(self):
        self._local = threading.local()

    @hookimpl
    def llmstack_call(self, call, next):
        self._local.model = call.model
        reply = yield from next(call)
        return reply if self._local.model else None


# Options ------------------------------------------------------------------------------------------------------------


class TakesAnything(Passing):
    """Passes over options that it does not know."""

    def __init__(self, **options: Any):
        self.options = options


class TakesText(Passing):
    """Compares a text with numbers later on."""

    def __init__(self, limit: int | None = None):
        self.limit = limit


class TakesNegative(Passing):
    """Does not look at its option's value."""

    def __init__(self, limit: float = 1.0):
        self.limit = float(limit)


# Secrets ------------------------------------------------------------------------------------------------------------


class ShowsKey(Passing):
    """Shows its options."""

    def __init__(self, api_key: str = ""):
        self._key = api_key

    def __repr__(self):
        return f"ShowsKey(api_key={self._key!r})"


class TellsPrompt(Passing):
    """Notes what was asked."""

    @hookimpl
    def llmstack_call(self, call, next):
        call.note(asked=call.params.get("messages"))
        return (yield from next(call))


# Observers ----------------------------------------------------------------------------------------------------------


class Fails:
    """Expects what need not be."""

    name = "fails"

    @hookimpl
    def llmstack_event(self, event):
        if hasattr(event, "usage"):
            event.usage.total_tokens.bit_count()


# Closing ------------------------------------------------------------------------------------------------------------


class ClosesOnce(Passing):
    """Takes it for an error to be closed again."""

    closed = False

    def close(self):
        if self.closed:
            message = "closed already"
            raise RuntimeError(message)
        self.closed = True
