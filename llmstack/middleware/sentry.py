"""Sentry: a span for each attempt, a breadcrumb for each turn, one error for each failed call."""

from __future__ import annotations

from llmstack import Configurable
from llmstack.events import AttemptFinished, AttemptStarted, CallFinished, CallStarted, Event
from llmstack.hookspecs import Stage, hookimpl
from llmstack.middleware._sentry.client import awake, collects
from llmstack.middleware._sentry.content import ContentLayer
from llmstack.middleware._sentry.crumb import crumb, may_be_told
from llmstack.middleware._sentry.error import report
from llmstack.middleware._sentry.overlap import know, watch_events
from llmstack.middleware._sentry.span import Spans

__all__ = ["Sentry"]

_FOLLOWED = frozenset({CallStarted, AttemptStarted, AttemptFinished, CallFinished})
"""What is of interest whether it is worth a breadcrumb or not."""


class Sentry(Configurable):
    """Reports calls to Sentry, if and as the program has initialised it; asleep until then.

    It imports nothing of sentry-sdk before the program does, and works with whatever ``sentry_sdk.init`` said, before
    or after the client was made. No prompt, answer or key is sent, unless both `content` and Sentry's own
    ``send_default_pii`` allow it; keys never are.

    Args:
        content: True to send prompts and answers too, where ``send_default_pii=True`` (or Sentry's ``data_collection``)
            allows it.
        errors: An error event for each call that failed, none for one that a retry saved.
        refused: One also for a call that a layer refused; else that is a breadcrumb.
        spans: A ``gen_ai`` span for each request sent.
        breadcrumbs: A breadcrumb for each retry, cache hit, refusal, opened circuit and alert.
        coordinate: Keep Sentry's own OpenAI and HTTP integrations from telling of the same calls. Calls of other
            clients are left to them.
    """

    name = "sentry"
    stage = Stage.WIRE

    def __init__(
        self,
        *,
        content: bool = False,
        errors: bool = True,
        refused: bool = False,
        spans: bool = True,
        breadcrumbs: bool = True,
        coordinate: bool = True,
    ) -> None:
        self._content = content
        self._errors = errors
        self._refused = refused
        self._trace = spans
        self._breadcrumbs = breadcrumbs
        self._coordinate = coordinate
        self._spans = Spans()
        if coordinate and spans and errors:
            # What the SDK's methods are wrapped in then has nothing left to tell.
            self.supersedes = ("sentry_sdk",)
        if content:
            # Only then is there a layer: one that merely passes calls on would cost each of them a little.
            self.llmstack_call = ContentLayer(self._spans).llmstack_call

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        """Tell Sentry what happened."""
        kind = type(event)
        if kind not in _FOLLOWED and not (self._breadcrumbs and may_be_told(event)):
            return
        active = awake()
        if not active and not self._spans:
            return
        if kind is AttemptFinished:
            self._end_attempt(event, active=active)  # type: ignore[arg-type]
        elif kind is CallFinished:
            self._end(event, active=active)  # type: ignore[arg-type]
        elif not active:
            return
        elif kind is AttemptStarted:
            if self._trace:
                self._spans.start(event)  # type: ignore[arg-type]
        elif kind is CallStarted:
            watch_events()
            if self._trace:
                self._spans.enter(event.call, coordinate=self._coordinate)
        else:
            crumb(event)

    def _end_attempt(self, event: AttemptFinished, *, active: bool) -> None:
        self._spans.finish(event)
        # A layer may catch this error and log it, before the call has ended.
        if active and event.error is not None and event.outcome == "error":
            content = self._content and collects("inputs") and collects("outputs")
            know(event.error, content=content, quiet=False, told=False)

    def _end(self, event: CallFinished, *, active: bool) -> None:
        passed = self._spans.leave(event.call)
        try:
            if not active:
                return
            refused = event.outcome == "refused"
            told = self._refused if refused else self._errors
            content = self._content and collects("inputs") and collects("outputs")
            if event.error is not None and event.outcome in ("error", "refused"):
                # Ours to tell of, or to keep quiet about: in either case no second one is wanted.
                quiet = self._coordinate and (told or refused)
                know(event.error, content=content, quiet=quiet, told=False)
                if told:
                    report(event, content=content, trace=None if passed.last is None else passed.last.trace())
                    know(event.error, content=content, quiet=quiet, told=True)
            if self._breadcrumbs and not (refused and told):
                crumb(event)
        finally:
            passed.end()
