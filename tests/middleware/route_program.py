"""A program whose client goes by a route over real servers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import llmstack
from llmstack import Stack
from llmstack.middleware import Route
from llmstack.middleware.route import HopAnswered
from llmstack.testing import FakeClock, Recorder
from tests.core.side import KEY, MESSAGES, Side, texts

ASK: dict[str, Any] = {"model": "gpt-5-mini", "messages": MESSAGES}


class Program:
    """A program whose client goes by a route over real servers."""

    def __init__(self, side: Side, route: Route) -> None:
        self.side, self.route = side, route
        self.clock, self.recorder = FakeClock(), Recorder()
        self.stack = Stack([route, self.recorder], clock=self.clock)
        kind: Any = llmstack.AsyncOpenAI if side.asynchronous else llmstack.OpenAI
        # The address that it was made with is nobody's.
        self.client = kind(api_key=KEY, base_url="http://nobody.invalid/v1", stack=self.stack)

    async def ask(self, *, stream: bool = False) -> str:
        """One chat; its text."""
        got = await self.side.do(self.client.chat.completions.create(**ASK, stream=stream))
        if stream:
            return texts(await self.side.read(got))
        text: str = got.choices[0].message.content
        return text

    async def close(self) -> None:
        """Close client and stack."""
        await self.side.do(self.client.close())
        await self.stack.aclose() if self.side.asynchronous else self.stack.close()

    @property
    def answered(self) -> Counter[str]:
        """How often each target has answered."""
        return Counter(event.target for event in self.recorder.of(HopAnswered))
