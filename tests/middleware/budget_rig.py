"""A client whose calls are kept in the books, and what the books say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llmstack
from llmstack import Stack
from llmstack.effects import drive
from llmstack.middleware import Budget
from llmstack.stores import Record
from llmstack.testing import FakeClock, LocalServer, Recorder

ASKED: dict[str, Any] = {
    "model": "gpt-5-mini",
    "messages": [{"role": "user", "content": "hi"}],
    "max_completion_tokens": 100,
}
PRICES = {"gpt-5-mini": {"input": "1", "output": "10"}, "gpt-5": {"input": "10", "output": "100"}}
"""Dollars for a million tokens: a token read is 1,000 nano-dollars, a token written 10,000."""

MOST = 20 * 1_000 + 100 * 10_000
"""About what a call may cost: some tokens read with a margin, and 100 written."""


class Bench:
    """A budget, a client and their events."""

    def __init__(self, server: LocalServer, limits: Sequence[Any] = ("$1/day",), *inner: Any, **options: Any) -> None:
        self.server = server
        self.clock = FakeClock()
        settings: dict[str, Any] = {"prices": PRICES, **options}
        self.budget = Budget(limits, **settings)
        self.recorder = Recorder()
        self.stack = Stack([self.budget, *inner, self.recorder], clock=self.clock)
        retries = 2 if inner else 0
        self.client = llmstack.OpenAI(base_url=server.base_url, api_key="k", stack=self.stack, max_retries=retries)

    def ask(self, **more: Any) -> Any:
        """Make a call."""
        return self.client.chat.completions.create(**{**ASKED, **more})

    def rows(self) -> list[Record]:
        """The history."""
        return drive(self.budget.ledger.history(), clock=self.clock)

    def row(self) -> Record:
        """The only row."""
        (row,) = self.rows()
        return row

    def cost(self) -> int:
        """What the only row cost."""
        cost = self.row().cost
        assert cost is not None
        return cost

    def events(self, kind: type[Any]) -> list[Any]:
        """Events of a kind."""
        return [event for event in self.recorder.events if type(event) is kind]

    def held(self, **whose: Any) -> list[Any]:
        """What the limits have reserved."""
        return [status.reserved for status in self.budget.status(**whose)]

    def close(self) -> None:
        """Close; afterwards nothing may be held."""
        self.client.close()
        self.stack.close()
