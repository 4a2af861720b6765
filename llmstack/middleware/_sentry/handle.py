"""A span of Sentry's, in whichever of its two ways the program traces.

With *transactions* (the default) a span is sent with its transaction; without one, it is a transaction of its own, as
Sentry's AI integrations do. With *span streaming* (``trace_lifecycle="stream"``) each span is sent when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstack.middleware._sentry.client import parts_spans, streams_spans

__all__ = ["ORIGIN", "Handle", "begin", "current"]

ORIGIN = "auto.ai.llmstack"
"""Who made the span, in Sentry's notation."""


class Handle:
    """A span that is under way, held as an object and known to no scope.

    Attributes:
        status: How it ended, in Sentry's words (``"ok"``, ``"resource_exhausted"``).
    """

    def __init__(self, span: Any, *, streamed: bool) -> None:
        """Take the span that was started."""
        self.status = "ok"
        self._span = span
        self._streamed = streamed

    def set(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes."""
        put = self._span.set_attribute if self._streamed else self._span.set_data
        for name, value in attributes.items():
            put(name, value)

    def end(self) -> None:
        """End it now."""
        if self._streamed:
            # It knows only these two; a cancelled request is no failure.
            self._span.status = "ok" if self.status in ("ok", "cancelled") else "error"
            self._span.end()
        else:
            # Sent apart, all but `ok` becomes a failure; a transaction of its own keeps the word.
            apart = self.status == "cancelled" and self._span.containing_transaction is not self._span and parts_spans()
            self._span.set_status("ok" if apart else self.status)
            self._span.finish()
            # A transaction may have started Sentry's profiler, which only `__exit__` would stop.
            if (profile := getattr(self._span, "_continuous_profile", None)) is not None:
                profile.stop()

    def trace(self) -> dict[str, Any]:
        """The ``trace`` context that links an error event with this span."""
        if not self._streamed:
            return dict(self._span.get_trace_context())
        return {"trace_id": self._span.trace_id, "span_id": self._span.span_id}


def current() -> Any:
    """The program's span that is current here; None if there is none."""
    import sentry_sdk

    if streams_spans():
        from sentry_sdk import traces

        return traces.get_current_span()
    return sentry_sdk.get_current_span()


def begin(parent: Any, op: str, name: str, attributes: Mapping[str, Any]) -> Handle | None:
    """Start a span.

    Args:
        parent: The span it belongs under; None to start at the top.
        op: What kind it is.
        name: What it is called.
        attributes: What is known of it at the start.

    Returns:
        The span; None if it would not be sent.
    """
    import sentry_sdk

    if streams_spans():
        from sentry_sdk import traces

        known = {"sentry.op": op, "sentry.origin": ORIGIN, **attributes}
        more = {} if parent is None else {"parent_span": parent}
        span: Any = traces.start_span(name, attributes=known, active=False, **more)
        return Handle(span, streamed=True)
    if parent is not None and parent.containing_transaction is not None:
        span = parent.start_child(op=op, name=name, origin=ORIGIN)
    else:
        span = sentry_sdk.start_transaction(op=op, name=name, origin=ORIGIN)
    if not span.sampled:
        return None
    handle = Handle(span, streamed=False)
    handle.set(attributes)
    return handle
