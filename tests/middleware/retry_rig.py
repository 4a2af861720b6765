"""What the tests of Retry share: a client on a script, and an error to put into it."""

from typing import Any

import openai

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.middleware import Retry
from llmstack.testing import FakeClock, Recorder, ScriptedTransport

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class Bench:
    """A client, its script, its clock and its events."""

    def __init__(self, script, retry=None, **client):
        self.transport = ScriptedTransport(script)
        self.clock, self.recorder = FakeClock(), Recorder()
        stack = Stack([retry or Retry(), self.recorder], transport=self.transport, clock=self.clock)
        self.client = OpenAI(api_key="sk-test-not-a-key", stack=stack, **client)
        self.aclient = AsyncOpenAI(api_key="sk-test-not-a-key", stack=stack, **client)

    def ask(self, **more):
        """One chat call."""
        return self.client.chat.completions.create(**ASK, **more).choices[0].message.content


def lost():
    """A connection that broke."""
    return openai.APIConnectionError(request=None)  # type: ignore[arg-type]
