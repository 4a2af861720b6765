"""The rig of the conformance suites: each test in a sync program, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest
from anyio.from_thread import start_blocking_portal

from llmstack.effects import Flow, adrive, drive
from llmstack.stores import Balance, Bucket, Charge, Granted, Ledger, Record, Refused, Reservation
from llmstack.testing.clock import FakeClock

__all__ = ["LedgerRig", "StoreRig", "row"]

T = TypeVar("T")


def row(key: str, **more: Any) -> Record:
    """A row of the history."""
    return replace(Record(id=key, call="call-1", at=1000.0, endpoint="chat.completions"), **more)


class StoreRig:
    """Runs the flows of a store. What the fixture `store` gives is closed after the test.

    Attributes:
        clock: The time of the test.
        lease: Seconds of the leases that are to end within the test.
    """

    clock: FakeClock
    lease: float = 60.0

    @pytest.fixture(autouse=True, params=["sync", "asyncio", "trio"])
    def conformance_way(self, request: pytest.FixtureRequest, store: Any) -> Iterator[None]:
        """How the test's flows are run."""
        self.clock = FakeClock()
        self.use(store)
        if request.param == "sync":
            self._run: Callable[[Flow[Any]], Any] = lambda flow: drive(flow, clock=self.clock)
            yield
            store.close()
            return
        pytest.importorskip(request.param)
        with start_blocking_portal(request.param) as portal:
            self._run = lambda flow: portal.call(partial(adrive, flow, clock=self.clock))
            yield
            portal.call(store.aclose)

    def use(self, store: Any) -> None:
        """Take the store that is to be tested. To be overridden."""
        raise NotImplementedError(f"{type(self).__name__} must define use(store), which takes the store to be tested")

    def pass_time(self, seconds: float) -> None:
        """Let time pass. To be overridden where the store has a clock of its own, perhaps with a shorter `lease`."""
        self.clock.advance(seconds)

    def do(self, flow: Flow[T]) -> T:
        """Run a flow, from any thread."""
        result: T = self._run(flow)
        return result

    def do_at_once(self, flows: list[Flow[T]]) -> list[T]:
        """Run flows at the same time, from as many threads."""
        with ThreadPoolExecutor(len(flows)) as pool:
            running = [pool.submit(self.do, flow) for flow in flows]
            return [one.result() for one in running]


class LedgerRig(StoreRig):
    """What the tests of a ledger say in short."""

    ledger: Ledger

    def use(self, store: Ledger) -> None:
        """Take the ledger that is to be tested."""
        self.ledger = store

    def charge(
        self, amount: int, *, limit: int | None = 100, bucket: str = "b", begin: int = 1000, since: int = 0
    ) -> Charge:
        """A charge on a bucket, which the test's end does not see forgotten."""
        return Charge(Bucket(bucket, since), begin, limit, amount, keep_until=int(self.clock.time()) + 10**6)

    def row(self, key: str, **more: Any) -> Record:
        """A row of the history."""
        return row(key, **more)

    def reservation(self, key: str, *charges: Charge, sent: bool = False, lease: float | None = None) -> Reservation:
        """A reservation of these charges."""
        record = self.row(key, reserved=sum(charge.amount for charge in charges))
        return Reservation(key, charges, self.lease if lease is None else lease, record, sent)

    def reserve(self, key: str, *charges: Charge, sent: bool = False) -> Granted | Refused:
        """Reserve."""
        return self.do(self.ledger.reserve(self.reservation(key, *charges, sent=sent)))

    def settle(self, key: str, *amounts: int, **more: Any) -> tuple[Balance, ...]:
        """Settle."""
        return self.do(self.ledger.settle(key, amounts, self.row(key, cost=sum(amounts), **more)))

    def release(self, key: str) -> None:
        """Release without a row."""
        self.do(self.ledger.release(key))

    def balance(self, bucket: str = "b", since: int = 0) -> tuple[int, int]:
        """What a bucket holds: spent, held."""
        [found] = self.do(self.ledger.spent([Bucket(bucket, since)]))
        return found.spent, found.held

    def history(self, **given: Any) -> list[Record]:
        """Rows."""
        return self.do(self.ledger.history(**given))

    def fill(self, amount: int = 100) -> None:
        """Spend so much of the bucket."""
        self.reserve("fill", self.charge(amount))
        self.settle("fill", amount)
