"""The demo's own layers: each a whole plugin, small enough to read at a glance."""

from __future__ import annotations

import json
from collections import defaultdict

from llmstack import Call, Flow, Next, Reply, Stage, hookimpl
from llmstack.effects import monotonic
from llmstack.errors import RefusedError


class Timing:
    """Adds up what each endpoint takes: sync, async and streamed."""

    stage = Stage.OBSERVE

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Pass on; look at the clock before and after."""
        started = yield from monotonic()
        reply = yield from next(call)
        self.seconds[call.endpoint] += (yield from monotonic()) - started
        return reply


class SecretError(RefusedError):
    """A prompt speaks of a password."""


class Guard:
    """Refuses prompts that speak of a password."""

    stage = Stage.VALIDATE

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Refuse or pass on."""
        if "password" in json.dumps(call.params).lower():
            raise SecretError("this prompt speaks of a password; leave it out")
        return (yield from next(call))
