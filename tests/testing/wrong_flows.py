"""Plugins that are wrong in the flow of a call: its hooks, its replies, its next, its errors."""

from __future__ import annotations

import threading

import openai

from llmstack import Reply, hookimpl
from llmstack.effects import emit, run
from llmstack.errors import RefusedError
from llmstack.events import Event
from tests.testing.passing_plugin import Passing

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
