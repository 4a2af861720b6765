"""A client of each kind on one stack, a tool, and what the stack saw of a framework's calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from pydantic import BaseModel

import llmstack
from llmstack import Stack, Transport
from llmstack.events import CallFinished
from llmstack.middleware import Budget, Cache, Retry
from llmstack.middleware.budget import CostBooked
from llmstack.testing import LocalServer, Recorder
from llmstack.testing.local_server import TOOL_MARKER
from tests.clients.calls import MODEL
from tests.clients.differential import KEY
from tests.frameworks.ways import Way

QUESTION = f"{TOOL_MARKER} Rome"
"""What makes the server's model call the tool, with this text as its argument."""

ANSWER = "Tool said: sunny"
"""What the model makes of the tool's result."""

SPENT = "$0.000001/day"
"""A budget that has room for nothing."""

TAGS = {"user": "ann"}
"""What the program says of its calls, outside of the framework."""

PLAIN = "Rome"
"""A question that needs no tool."""


class City(BaseModel):
    """A form that an answer can have."""

    name: str


@dataclass(frozen=True)
class Said:
    """What a framework gave its program.

    Attributes:
        pieces: The final text, in the pieces that it came in.
        tokens: How many were read and written; None where the framework does not tell.
    """

    pieces: list[str]
    tokens: tuple[int, int] | None

    @property
    def text(self) -> str:
        """The final text."""
        return "".join(self.pieces)


class Rig:
    """The clients, and the weather that a framework's tool tells."""

    model = MODEL

    def __init__(
        self, server: LocalServer, way: Way, transport: Transport | None = None, limit: str = "$5/day"
    ) -> None:
        self.server, self.way = server, way
        self.recorder = Recorder()
        self.budget = Budget([limit])
        plugins = [Cache(when="always", tool_calls=True), self.budget, Retry(), self.recorder]
        self.stack = Stack(plugins, transport=transport or way.make(server))
        # On a transport the clients keep OpenAI's address, by which some frameworks decide what to ask for.
        where: Any = {} if self.stack.engine.place else {"base_url": server.base_url}
        self.client = llmstack.OpenAI(api_key=KEY, stack=self.stack, **where)
        self.aclient = llmstack.AsyncOpenAI(api_key=KEY, stack=self.stack, **where)
        self.answer = ANSWER
        self.asked: list[str] = []
        self.options = llmstack.options(tags=TAGS)

    def weather(self, city: str) -> str:
        """Tell the weather."""
        self.asked.append(city)
        return "sunny"

    def __enter__(self) -> Self:
        self.options.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.options.__exit__(None, None, None)
        self.client.close()
        self.stack.close()
        assert self.stack.observer_failures == {}

    async def __aenter__(self) -> Self:
        self.options.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.options.__exit__(None, None, None)
        await self.aclose()

    @contextmanager
    def looping(self) -> Iterator[Self]:
        """For sync functions that send by the async client: they take the thread's event loop, and leave it open."""
        with asyncio.Runner() as runner:
            asyncio.set_event_loop(runner.get_loop())
            try:
                with self.options:
                    yield self
            finally:
                runner.run(self.aclose())

    async def aclose(self) -> None:
        """Close all in the event loop that it belongs to."""
        await self.aclient.close()
        await self.stack.aclose()
        self.client.close()
        assert self.stack.observer_failures == {}

    @property
    def finished(self) -> list[CallFinished]:
        """The ends of all calls."""
        return self.recorder.of(CallFinished)

    def assert_conversation(self, said: Said, *, streamed: bool) -> None:
        """The stack saw a question and a tool's result, the server the same; the books are those of the framework."""
        assert (said.text, self.asked) == (self.answer, [QUESTION])
        assert (len(said.pieces) > 1) == streamed
        self.assert_sent(2, streamed=streamed)
        usages = [event.usage for event in self.finished if event.usage is not None]
        read, written = (sum(u.input_tokens for u in usages), sum(u.output_tokens for u in usages))
        assert min(read, written) > 0
        assert said.tokens in (None, (read, written))

    def assert_sent(self, times: int, *, streamed: bool) -> None:
        """So many calls went the way, each once, and have been paid."""
        requests = self.server.requests
        assert [(request.path, bool(request.json.get("stream"))) for request in requests] == [
            (self.way.path, streamed)
        ] * times
        assert [(e.outcome, e.attempts, e.cached) for e in self.finished] == [("ok", 1, False)] * times
        assert [dict(event.call.tags) for event in self.finished] == [TAGS] * times
        costs = [event.cost or Decimal(0) for event in self.finished]
        assert min(costs) > 0
        assert costs == [event.cost for event in self.recorder.of(CostBooked)]
        (status,) = self.budget.status()
        assert (status.spent, status.reserved) == (sum(costs), 0)

    async def assert_answered_twice(self, converse: Callable[[], Awaitable[Said]], *, streamed: bool) -> None:
        """A conversation is answered, and the same again by the cache."""
        self.assert_conversation(await converse(), streamed=streamed)
        self.assert_repeated(await converse())

    def assert_repeated(self, said: Said) -> None:
        """After the same conversation again: the tool was called, the cache answered, nothing was sent or paid."""
        assert (said.text, self.asked) == (self.answer, [QUESTION] * 2)
        assert self.server.count() == 2
        assert [(event.cached, event.cost) for event in self.finished[2:]] == [(True, 0)] * 2
        (status,) = self.budget.status()
        assert (status.spent, status.reserved) == (sum(event.cost or 0 for event in self.finished[:2]), 0)
