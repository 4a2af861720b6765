"""A client whose calls are not sent, only looked at by a cache."""

from __future__ import annotations

from typing import Any

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.middleware.cache import Cache, KeyExplanation
from llmstack.testing import ScriptedTransport

KEY = "sk-test-not-a-key"
BASE: dict[str, dict[str, Any]] = {
    "chat.completions": {"model": "m", "messages": [{"role": "user", "content": "private words"}]},
    "responses": {"model": "m", "input": "private words"},
    "completions": {"model": "m", "prompt": "private words"},
    "embeddings": {"model": "m", "input": "private words"},
    "moderations": {"model": "m", "input": "private words"},
}


class Asker:
    """A client whose calls' keys are explained; nothing is sent."""

    def __init__(self, cache: Cache | None = None, **given: Any) -> None:
        self.cache = cache or Cache(when="always")
        self.explained: list[KeyExplanation] = []
        self.calls: list[Call] = []
        self.transport = ScriptedTransport(default="Hello")

        def look(call: Call, next: Next) -> Flow[Reply]:
            self.calls.append(call)
            self.explained.append(self.cache.explain_key(call))
            return Reply({"choices": [], "data": [], "output": []})
            yield

        self.stack = Stack([look, self.cache], transport=self.transport)
        given = {"api_key": KEY, "base_url": "http://scripted.invalid/v1", **given}
        self.client = llmstack.OpenAI(stack=self.stack, **given)

    def resource(self, endpoint: str) -> Any:
        """Where an endpoint is asked."""
        found: Any = self.client
        for name in endpoint.split("."):
            found = getattr(found, name)
        return found

    def key(self, endpoint: str = "chat.completions", **more: Any) -> str:
        """The key of a call."""
        before = len(self.explained)
        try:
            self.resource(endpoint).create(**{**BASE[endpoint], **more})
        except ValueError:  # an embedding without data
            assert endpoint == "embeddings"
        assert len(self.explained) == before + 1
        return self.explained[-1].key

    def explain(self, **more: Any) -> KeyExplanation:
        """What makes the key of a chat."""
        self.key(**more)
        return self.explained[-1]
