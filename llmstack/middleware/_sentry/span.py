"""Spans: a ``gen_ai`` span for each attempt, under Sentry's attribute names for AI monitoring.

Law of this file: a span is never entered and never set on a scope, since a stream may end in another task or thread
than the one that began it. It is held here, by call and attempt, and let go of when the attempt has ended.

Source of the names: ``OP``, ``SPANDATA``, ``SPANSTATUS`` in ``sentry_sdk.consts``, and Sentry's OpenAI integration.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmstack.events import AttemptFinished, AttemptStarted
from llmstack.middleware._sentry.attribute import at_end, at_start, operation, status
from llmstack.middleware._sentry.client import is_traced, streams_spans
from llmstack.middleware._sentry.handle import Handle, begin, current
from llmstack.middleware._sentry.overlap import describes_request, end_quietened, quieten

if TYPE_CHECKING:
    from llmstack import Call

__all__ = ["Attempt", "Passing", "Spans", "Wish"]

_MOST = 10_000
"""Attempts and calls held at most. Each is let go of when it ends; this bounds what a fork in their midst leaves."""


class Attempt:
    """The span of one request."""

    def __init__(self, handle: Handle) -> None:
        """Take the open span."""
        self.handle = handle
        self.held = False
        self._done = False

    def finish(self, event: AttemptFinished) -> None:
        """The request has ended; so has the span, unless a layer still holds it for the answer's content."""
        self.handle.set(at_end(event))
        self.handle.status = status(event)
        self._done = True
        if not self.held:
            self.handle.end()

    def release(self) -> None:
        """The layer has added what it wanted."""
        self.held = False
        if self._done:
            self.handle.end()


class Wish:
    """A layer's wish to add content to the span of the request that it is about to send."""

    def __init__(self, call: Call) -> None:
        """Take the call that is about to be sent."""
        self.call = call
        self.attempt: Attempt | None = None
        self.thread = threading.get_ident()


@dataclass(slots=True)
class Passing:
    """A call under way.

    Attributes:
        parent: The program's span that it was made under; None if there was none.
        quietened: The span of Sentry's own OpenAI integration for a stream; it is ended with the call.
        last: The span of the last attempt; None if there was none. An error belongs to it.
    """

    parent: Any = None
    quietened: Any = None
    last: Handle | None = None

    def end(self) -> None:
        """The call has ended."""
        if self.quietened is not None:
            end_quietened(self.quietened)


class Spans:
    """The spans under way."""

    def __init__(self) -> None:
        """Start with none."""
        self._attempts: dict[tuple[str, int], Attempt] = {}
        self._calls: dict[str, Passing] = {}
        self._wishes: dict[tuple[str, int], Wish] = {}

    def __len__(self) -> int:
        """How much is held: 0 when no call is under way."""
        return len(self._attempts) + len(self._calls) + len(self._wishes)

    def enter(self, call: Any, *, coordinate: bool) -> None:
        """A call has started: remember under what, since its attempts may be made where that cannot be seen."""
        span = current()
        if span is None:
            return
        quietened = span if coordinate and quieten(span) and call.stream else None
        _bound(self._calls)
        self._calls[call.id] = Passing(parent=span, quietened=quietened)

    def leave(self, call: Any) -> Passing:
        """A call has ended: what was remembered of it."""
        return self._calls.pop(call.id, None) or Passing()

    def start(self, event: AttemptStarted) -> None:
        """A request is about to be sent."""
        wish = self._wishes.pop((event.call.id, threading.get_ident()), None)
        if not (streams_spans() or is_traced()):
            return
        name, op = operation(event.call)
        if not op:
            return
        passing = self._calls.get(event.call.id)
        # The call's own, also where a stream is read, and sent again, in another task with spans of its own.
        parent = current() if passing is None or passing.parent is None else passing.parent
        if parent is not None and describes_request(parent):
            return
        handle = begin(parent, op, name, at_start(event))
        if handle is None:
            return
        if passing is None:
            passing = self._calls[event.call.id] = Passing()
        passing.last = handle
        attempt = Attempt(handle)
        if wish is not None:
            wish.attempt = attempt
            attempt.held = True
        _bound(self._attempts)
        self._attempts[event.call.id, event.number] = attempt

    def finish(self, event: AttemptFinished) -> None:
        """A request has ended."""
        attempt = self._attempts.pop((event.call.id, event.number), None)
        if attempt is not None:
            attempt.finish(event)

    def expect(self, call: Call) -> Wish:
        """A layer is about to send: the next attempt of this call in this thread is the one that it means."""
        wish = Wish(call)
        self._wishes[call.id, wish.thread] = wish
        return wish

    def release(self, wish: Wish) -> None:
        """The layer has its reply or its error."""
        self._wishes.pop((wish.call.id, wish.thread), None)
        if wish.attempt is not None:
            wish.attempt.release()


def _bound(held: dict[Any, Any]) -> None:
    """Make room: the oldest goes."""
    if len(held) >= _MOST:
        held.pop(next(iter(held), None), None)
