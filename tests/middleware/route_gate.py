"""What the tests of hedging share: two real servers whose answers are let go one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

import llmstack
from llmstack import Stack, hookimpl
from llmstack.effects import drive
from llmstack.events import Event
from llmstack.middleware import Budget, Retry, Route
from llmstack.stores import Record
from llmstack.testing import FakeClock, LocalServer, Recorder
from tests.core.side import KEY, MESSAGES, Side
from tests.middleware.route_rig import to

WAIT = 10.0
BOTH = ["a/*", "b/*"]


def racers() -> list[threading.Thread]:
    """Threads of races that are not over for all."""
    return [thread for thread in threading.enumerate() if thread.name == "llmstack-race"]


class Hearing(Recorder):
    """A recorder that calls somebody for each event."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: Callable[[Event], object] = lambda _: None

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        super().llmstack_event(event)
        self.heard(event)


class Gated:
    """Two real servers behind a hedging route."""

    def __init__(self, side: Side, first: LocalServer, second: LocalServer, **options: Any) -> None:
        self.side = side
        self.clock, self.recorder = Clock(), Hearing()
        self.budget = Budget(["100 calls/day", "$1/day"])
        transports = {"a": to(first.base_url), "b": to(second.base_url)}
        self.route = Route(BOTH, transports=transports, hedge_after=2.0, **options)
        self.stack = Stack([self.budget, self.route, Retry(attempts=1), self.recorder], clock=self.clock)
        kind: Any = llmstack.AsyncOpenAI if side.asynchronous else llmstack.OpenAI
        self.client = kind(api_key=KEY, base_url="http://nobody.invalid/v1", stack=self.stack)

    async def ask(self) -> Any:
        """One chat."""
        messages: Any = MESSAGES
        return await self.side.do(self.client.chat.completions.create(model="gpt-5-mini", messages=messages))

    def ask_while(
        self,
        watch: Callable[[], object],
        error: type[BaseException] | None = None,
        afterwards: Callable[[], object] = lambda: None,
    ) -> None:
        """One chat, while another thread does as it is told; then all is closed."""

        async def program() -> None:
            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                if error is not None:
                    with pytest.raises(error):
                        await self.ask()
                else:
                    got = await self.ask()
                    assert got.choices[0].message.content == "You said: Say hello"
            finally:
                afterwards()
                await anyio.to_thread.run_sync(watcher.join) if self.side.asynchronous else watcher.join()
                for thread in racers():
                    thread.join(WAIT)
                await self.close()

        self.side.run(program)

    async def close(self) -> None:
        """Close client and stack."""
        await self.side.do(self.client.close())
        await self.stack.aclose() if self.side.asynchronous else self.stack.close()

    def rows(self) -> list[Record]:
        """The rows of the ledger, by the number of the request."""
        return sorted(drive(self.budget.ledger.history(), clock=self.clock), key=lambda row: row.number)

    @property
    def in_flight(self) -> set[int]:
        """Calls that targets have now."""
        return {status.in_flight for status in self.route.status().values()}


class Clock(FakeClock):
    """A clock whose hedging delay is over when the first target has the request, or when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.due = threading.Event()

    def sleep(self, seconds: float) -> None:
        assert self.due.wait(WAIT)
        super().sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        # A race that is over does not wait for it.
        await anyio.to_thread.run_sync(self.due.wait, WAIT, abandon_on_cancel=True)
        FakeClock.sleep(self, seconds)
