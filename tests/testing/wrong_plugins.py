"""A catalogue of wrong plugins: each breaks one rule, and keeps all others."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import openai

from llmstack import Reply, hookimpl
from llmstack.effects import emit, run
from llmstack.errors import RefusedError
from llmstack.events import Event
from llmstack.testing import Conformance, Sample
from tests.core.side import MESSAGES


class Passing:
    """Does nothing, rightly."""

    name = "passing"

    @hookimpl
    def llmstack_call(self, call, next):
        return (yield from next(call))


# Hooks --------------------------------------------------------------------------------------------------------------


class WithoutMark:
    """Forgot @hookimpl."""

    def llmstack_call(self, call, next):
        return (yield from next(call))


class Asynchronous:
    """Is written as if it were for async programs."""

    @hookimpl
    async def llmstack_call(self, call, next):
        return next(call)


# Sync equals async equals stream ------------------------------------------------------------------------------------


class OnlySync(Passing):
    """Answers otherwise in an async program."""

    @hookimpl
    def llmstack_call(self, call, next):
        async def nothing():
            return ""

        suffix = yield from run(lambda: "!", nothing)
        reply = yield from next(call)
        return reply.replace(body=_said(reply, suffix)) if reply.text else reply


class OnlyPlain(Passing):
    """Asks another model where the call is streamed."""

    @hookimpl
    def llmstack_call(self, call, next):
        return (yield from next(call.with_params(model="gpt-5") if call.stream else call))


class TellsOnlyAsync(Passing):
    """Tells an event in async programs only."""

    @hookimpl
    def llmstack_call(self, call, next):
        async def yes():
            return True

        if (yield from run(lambda: False, yes)):
            yield from emit(Event(call=call.info))
        return (yield from next(call))


def _said(reply, suffix):
    body = dict(reply.body)
    if suffix and body.get("choices"):
        [choice] = body["choices"]
        message = {**choice["message"], "content": choice["message"]["content"] + suffix}
        body["choices"] = [{**choice, "message": message}]
    return body


# Cancellation -------------------------------------------------------------------------------------------------------


class Swallows(Passing):
    """Takes a cancellation for a failure of the provider."""

    @hookimpl
    def llmstack_call(self, call, next):
        try:
            return (yield from next(call))
        except Exception:
            raise
        except BaseException:  # noqa: BLE001
            return Reply({"choices": []})


class Renames(Passing):
    """Makes an error of its own of a cancellation."""

    @hookimpl
    def llmstack_call(self, call, next):
        try:
            return (yield from next(call))
        except Exception:
            raise
        except BaseException as error:
            message = "the call did not work out"
            raise RefusedError(message) from error


# One reply ----------------------------------------------------------------------------------------------------------


class NoReply(Passing):
    """Forgot `return`."""

    @hookimpl
    def llmstack_call(self, call, next):
        yield from next(call)


class BareJson(Passing):
    """Returns the JSON instead of the reply."""

    @hookimpl
    def llmstack_call(self, call, next):
        reply = yield from next(call)
        return reply.body


# Next ---------------------------------------------------------------------------------------------------------------


class Twice(Passing):
    """Asks again for good measure."""

    @hookimpl
    def llmstack_call(self, call, next):
        yield from next(call)
        return (yield from next(call))


class Forgets(Passing):
    """Answers by itself, although it says that it passes on."""

    @hookimpl
    def llmstack_call(self, call, next):
        return Reply({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []})
        yield from next(call)


class Again(Passing):
    """Does not look whether content has been delivered."""

    @hookimpl
    def llmstack_call(self, call, next):
        try:
            return (yield from next(call))
        except openai.APIConnectionError:
            return (yield from next(call))


# Errors -------------------------------------------------------------------------------------------------------------


class Trusts(Passing):
    """Takes every body for a chat completion."""

    @hookimpl
    def llmstack_call(self, call, next):
        reply = yield from next(call)
        if call.endpoint == "chat.completions" and reply.complete:
            len(reply.body["choices"])
        return reply


class TooMuchError(RefusedError):
    """Needs two arguments, and holds what does not pickle."""

    def __init__(self, message, lock):
        super().__init__(message)
        self.lock = lock


class Unpicklable(Passing):
    """Refuses with an error that does not pickle."""

    @hookimpl
    def llmstack_call(self, call, next):
        if "forbidden" in str(call.params.get("messages")):
            message = "no"
            raise TooMuchError(message, threading.Lock())
        return (yield from next(call))


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


def suite(kind: type, **more: Any) -> type[Conformance]:
    """A conformance suite for a plugin of this catalogue."""

    class Suite(Conformance):
        def plugin(self, **options):
            return kind(**options)

    Suite.__name__ = kind.__name__
    for name, value in more.items():
        setattr(Suite, name, value)
    return Suite


FORBIDDEN = [Sample(params={"model": "m", "messages": [{"role": "user", "content": "forbidden"}]}, raises=TooMuchError)]
ALLOWED = [Sample(params={"model": "m", "messages": MESSAGES})]

CATALOGUE: list[tuple[str, type[Conformance], str]] = [
    ("hooks_are_right", suite(WithoutMark), "put @hookimpl above it"),
    ("hooks_are_right", suite(Asynchronous), "it is async"),
    ("sync_equals_async_equals_stream", suite(OnlySync), "the program sees differs"),
    ("sync_equals_async_equals_stream", suite(OnlyPlain), "is sent differs when it is streamed"),
    ("sync_equals_async_equals_stream", suite(TellsOnlyAsync), "is told to observers differs"),
    ("cancellation_is_not_swallowed", suite(Swallows), "made a reply of a cancellation"),
    ("cancellation_is_not_swallowed", suite(Renames), "made RefusedError of a cancellation"),
    ("there_is_exactly_one_reply", suite(NoReply), "returned None instead of a Reply"),
    ("there_is_exactly_one_reply", suite(BareJson), "returned a dict instead of a Reply"),
    ("next_is_called_as_declared", suite(Twice), "called next 2 time"),
    ("next_is_called_as_declared", suite(Forgets, samples=lambda _: ALLOWED), "called next 0 time"),
    ("next_is_called_as_declared", suite(Passing, next_is="never"), "declares 'never'"),
    ("next_is_called_as_declared", suite(Again, next_is="many"), "although content had reached the program"),
    ("errors_are_typed_and_pickle", suite(Trusts), "failed with TypeError at wrong_plugins.py"),
    ("errors_are_typed_and_pickle", suite(Unpicklable, samples=lambda _: FORBIDDEN), "TooMuchError does not pickle"),
    ("errors_are_typed_and_pickle", suite(Passing, samples=lambda _: FORBIDDEN), "no TooMuchError was raised"),
    ("nothing_is_held_across_the_flow", suite(HoldsVariable), "leaves context variables set"),
    ("nothing_is_held_across_the_flow", suite(HoldsLock), "holds a lock"),
    ("nothing_is_held_across_the_flow", suite(HoldsThread), "In another thread the rest of the flow fails"),
    ("options_are_validated", suite(TakesAnything), "no_such_option_of_this_plugin=1, is accepted"),
    ("options_are_validated", suite(TakesText), "limit='many', is accepted"),
    ("options_are_validated", suite(TakesNegative, bad_options=[{"limit": -1}]), "limit=-1, is accepted"),
    ("no_secret_is_shown", suite(ShowsKey), "shows the value of its option 'api_key'"),
    ("no_secret_is_shown", suite(TellsPrompt), "The event CallFinished shows what was asked"),
    ("observers_are_isolated", suite(Fails), "llmstack_event of 'fails' raised"),
    ("it_may_be_closed_twice", suite(ClosesOnce), "Closing twice fails with RuntimeError"),
]
"""The test that catches each, and what it says."""
