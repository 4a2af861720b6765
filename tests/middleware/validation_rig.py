"""What the tests of Validation share: a client without a network, and its events."""

from __future__ import annotations

from typing import Any

from llmstack import OpenAI, Stack
from llmstack.errors import ValidationError
from llmstack.events import IssuesFound
from llmstack.middleware.validation import Issue, Validation
from llmstack.testing import FakeClock, Recorder, ScriptedTransport

KEY = "sk-test-not-a-key"
PATHS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "completions": "/completions",
    "moderations": "/moderations",
    "speech": "/audio/speech",
    "images": "/images/generations",
    "input_tokens": "/responses/input_tokens",
}


class Bench:
    """A client that sends to a script, through Validation."""

    def __init__(self, validation: Validation | None = None, **client: Any) -> None:
        self.transport = ScriptedTransport(default="hello")
        self.recorder = Recorder()
        self.clock = FakeClock()
        stack = Stack([validation or Validation(), self.recorder], transport=self.transport, clock=self.clock)
        self.client = OpenAI(api_key=KEY, stack=stack, **client)

    def send(self, endpoint: str, params: Any) -> None:
        """One request with this body, as it is."""
        self.client.post(PATHS[endpoint], body=params, cast_to=object)

    def refused(self, endpoint: str, params: Any) -> ValidationError:
        """The error that a request gets; nothing is sent."""
        before = len(self.transport.calls)
        try:
            self.send(endpoint, params)
        except ValidationError as error:
            assert len(self.transport.calls) == before
            return error
        message = f"the request was not refused: {params}"
        raise AssertionError(message)

    def chat(self, **params: Any) -> Any:
        """One chat."""
        given: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **params}
        return self.client.chat.completions.create(**given)

    @property
    def warnings(self) -> list[Issue]:
        """Everything told by events."""
        return [issue for event in self.recorder.of(IssuesFound) for issue in event.issues]


__all__ = ["KEY", "PATHS", "Bench"]
