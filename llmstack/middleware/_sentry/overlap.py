"""Overlap: what Sentry's own integrations tell of the calls that llmstack tells of.

sentry-sdk enables its OpenAI integration wherever ``openai`` can be imported. It wraps ``create`` of the SDK's
resources, around our client: its span is open, and current, when our call starts, and it captures what the call
raises, after we have. Both are recognised call by call, so that other OpenAI clients of the program stay with it.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["describes_request", "end_quietened", "know", "quieten", "related", "watch_events"]

_INTEGRATION = "sentry_sdk.integrations.openai"
_ORIGIN = "auto.ai.openai"
_REQUEST_OPS = ("gen_ai.chat", "gen_ai.responses", "gen_ai.embeddings", "gen_ai.text_completion")
_DEEPEST = 64


# Spans ----------------------------------------------------------------------------------------------------------------


class _Quiet(dict[str, Any]):
    """The attributes of a span that shall say nothing of a model, whatever is set on it from now on."""

    def __setitem__(self, name: str, value: Any) -> None:
        if not name.startswith("gen_ai."):
            super().__setitem__(name, value)

    def update(self, *given: Any, **more: Any) -> None:
        for name, value in dict(*given, **more).items():
            self[name] = value


def quieten(span: Any) -> bool:
    """Make the integration's span of this very call a plain one, that of the whole call; our attempts go under it.

    It stays, since the request's own HTTP span belongs to it; it loses model, tokens and prompts, which the attempts
    say. That takes two attributes of sentry-sdk that are not public: where they are missing the span is left as it
    is, and `describes_request` then keeps us from saying it again.

    Args:
        span: The current span.

    Returns:
        True if it was the integration's.
    """
    streamed = hasattr(span, "get_attributes")
    origin = span.get_attributes().get("sentry.origin") if streamed else getattr(span, "origin", None)
    if origin != _ORIGIN or not _inside_integration():
        return False
    store = "_attributes" if streamed else "_data"
    said = getattr(span, store, None)
    if not isinstance(said, dict):
        return False
    quiet = _Quiet()
    quiet.update(said)
    setattr(span, store, quiet)
    if streamed:
        quiet["sentry.op"] = "function"
    else:
        span.op = "function"
    return True


def end_quietened(span: Any) -> None:
    """End the integration's span of a streamed call.

    It ends it itself where a stream is read to its very end, and only there; else the span would stay the current one
    and never be sent. Ending it twice does nothing. Where the program has made another span the current one since,
    that one stays it.
    """
    scope, _ = getattr(span, "_context_manager_state", None) or (None, None)
    if scope is not None and scope.span is not span:
        span.finish()
    else:
        span.__exit__(None, None, None)


def _inside_integration() -> bool:
    """Whether the integration made this call.

    Its span may also be current because a stream of another client is being read around us: that one is not ours.
    """
    frame = inspect.currentframe()
    for _ in range(_DEEPEST):
        if frame is None:
            return False
        if frame.f_globals.get("__name__") == _INTEGRATION:
            return True
        frame = frame.f_back
    return False


def describes_request(span: Any) -> bool:
    """Whether this span is another integration's for the same request, such as LangChain's or that of the Agents SDK.

    It then carries model and tokens, so that a span of ours would count them twice.
    """
    if hasattr(span, "get_attributes"):
        said = span.get_attributes()
        op, origin = said.get("sentry.op"), said.get("sentry.origin")
    else:
        op, origin = getattr(span, "op", None), getattr(span, "origin", None)
    return op in _REQUEST_OPS and isinstance(origin, str) and origin.startswith("auto.ai.")


# Errors ---------------------------------------------------------------------------------------------------------------


class _Known:
    """What is known of an error that a call of ours has raised."""

    __slots__ = ("content", "quiet", "told")

    def __init__(self, *, content: bool, quiet: bool, told: bool) -> None:
        self.content = content
        self.told = told
        self.quiet = quiet


_known: WeakKeyDictionary[BaseException, _Known] = WeakKeyDictionary()
_watching = threading.Lock()


def know(error: BaseException, *, content: bool, quiet: bool, told: bool) -> None:
    """A call of ours has raised this error; the program or one of its frameworks may capture it too.

    Args:
        error: What was raised.
        content: Whether its text may be shown.
        quiet: Whether the integration's event for it is to be dropped.
        told: Whether we have sent an event for it, so that any other for the very same is a second one. Sentry's own
            deduplication sees that only in the task or thread that made the call, and only of the last error there.
    """
    try:
        _known[error] = _Known(content=content, quiet=quiet, told=told)
    except TypeError:  # some built-in exceptions cannot be referred to weakly
        return


def _known_as(error: BaseException) -> _Known | None:
    try:
        return _known.get(error)
    except TypeError:
        return None


def watch_events() -> None:
    """See every event before it is sent: once for the process, since Sentry has no way to end it."""
    from sentry_sdk.scope import add_global_event_processor, global_event_processors

    if _process in global_event_processors:
        return
    with _watching:
        if _process not in global_event_processors:
            add_global_event_processor(_process)


def _process(event: Any, hint: Any) -> Any:
    """Drop the integration's second event for an error of ours; clean any other that holds one."""
    raised = ((hint or {}).get("exc_info") or (None, None, None))[1]
    if raised is None or not _known:
        return event
    for error in related(raised):
        known = _known_as(error)
        if known is None:
            continue
        mechanism = _mechanism(event)
        if mechanism == "llmstack":
            return event
        if error is raised and (known.told or (known.quiet and mechanism == "openai")):
            return None
        from llmstack.middleware._sentry.error import clean

        clean(event, error, content=known.content, whole=False)
    return event


def _mechanism(event: Any) -> str | None:
    values = (event.get("exception") or {}).get("values") or ()
    for value in values:
        kind = (value.get("mechanism") or {}).get("type")
        if kind not in (None, "chained"):
            return str(kind)
    return None


def related(error: BaseException) -> Iterator[BaseException]:
    """An error with all its causes, contexts and members of groups, each once."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest and len(seen) < _DEEPEST:
        found = rest.pop(0)
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        rest += [found.__cause__, found.__context__]
        if isinstance(found, BaseExceptionGroup):
            rest += found.exceptions
