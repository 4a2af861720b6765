"""Spending: the rows of a ledger added up, by model, tag, tenant, day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from decimal import Decimal

from llmstack import Flow
from llmstack.middleware._budget.money import dollars
from llmstack.middleware._budget.status import moment
from llmstack.stores import Ledger, Record

_PAGE = 1000
"""Rows asked of a ledger at once."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent on one model, by one team, on one day.

    Attributes:
        key: Which one; empty for rows that have none.
        calls: Calls of the program, answers from a cache included.
        attempts: Requests sent.
        failed: Of these, those that brought no whole answer.
        cached: Calls answered from a cache.
        input_tokens: Tokens read, by requests sent.
        cached_tokens: Of these, those read from the provider's prompt cache.
        output_tokens: Tokens written.
        cost: US dollars.
        estimated: Of these, what is not by the provider's own count.
        saved: US dollars that answers from a cache did not cost.
        unpriced: Requests whose price nobody knows: they are not in `cost`.
    """

    key: str
    calls: int = 0
    attempts: int = 0
    failed: int = 0
    cached: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)
    estimated: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)
    unpriced: int = 0


@dataclass(slots=True)
class _Sum:
    """A spending that grows; whole nano-dollars until it is read."""

    calls: set[str] = field(default_factory=set)
    attempts: int = 0
    failed: int = 0
    cached: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    estimated: int = 0
    saved: int = 0
    unpriced: int = 0

    def add(self, row: Record) -> None:
        self.calls.add(row.call)
        self.saved += row.saved
        if row.number == 0:
            self.cached += 1
            return
        self.attempts += 1
        self.failed += row.outcome != "ok"
        self.input_tokens += row.tokens.get("input", 0)
        self.cached_tokens += row.tokens.get("cached", 0)
        self.output_tokens += row.tokens.get("output", 0)
        self.cost += row.cost or 0
        self.estimated += (row.cost or 0) if row.estimated else 0
        self.unpriced += row.cost is None

    def read(self, key: str) -> Spending:
        return Spending(
            key=key,
            calls=len(self.calls),
            attempts=self.attempts,
            failed=self.failed,
            cached=self.cached,
            input_tokens=self.input_tokens,
            cached_tokens=self.cached_tokens,
            output_tokens=self.output_tokens,
            cost=dollars(self.cost),
            estimated=dollars(self.estimated),
            saved=dollars(self.saved),
            unpriced=self.unpriced,
        )


class Sums:
    """Adds up rows by several keys at once.

    Args:
        by: ``"model"``, ``"tenant"``, ``"endpoint"``, ``"host"``, ``"outcome"``, ``"day"``, else the name of a tag.
        zone: Where days begin.
    """

    def __init__(self, by: Sequence[str], zone: tzinfo) -> None:
        self._by = tuple(by)
        self._zone = zone
        self._sums: dict[str, dict[str, _Sum]] = {name: {} for name in by}
        self._total = _Sum()

    def add(self, row: Record) -> None:
        """Count a row."""
        self._total.add(row)
        for name in self._by:
            sums = self._sums[name]
            key = self._key(row, name)
            if key not in sums:
                sums[key] = _Sum()
            sums[key].add(row)

    def total(self) -> Spending:
        """All of it."""
        return self._total.read("")

    def groups(self, name: str) -> list[Spending]:
        """By one of the keys: the dearest first, days in their order."""
        found = [one.read(key) for key, one in self._sums[name].items()]
        if name == "day":
            return sorted(found, key=lambda one: one.key)
        return sorted(found, key=lambda one: (-one.cost, -one.attempts, one.key))

    def _key(self, row: Record, name: str) -> str:
        if name == "day":
            return f"{moment(row.at).astimezone(self._zone):%Y-%m-%d}"
        if name in ("model", "tenant", "endpoint", "host", "outcome"):
            key: str = getattr(row, name)
            return key
        return row.tags.get(name, "")


def added_up(ledger: Ledger, sums: Sums, since: float, until: float | None) -> Flow[None]:
    """Count all rows of a time.

    Args:
        ledger: The ledger.
        sums: What adds them up.
        since: Seconds since the epoch, from which on.
        until: Seconds since the epoch, before which; None for now.

    Raises:
        llmstack.errors.StoreError: If the ledger cannot be used.
    """
    # What was lost with a process that died is charged now, if its time is over.
    yield from ledger.spent([])
    after = ""
    while True:
        rows = yield from ledger.history(since=since, until=until, after=after, limit=_PAGE)
        for row in rows:
            sums.add(row)
        if len(rows) < _PAGE:
            return
        after = rows[-1].id
