"""Plan: what an attempt draws on, and what is known of it before it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmstack import Call, Usage
from llmstack.middleware._budget.identity import fresh
from llmstack.middleware._budget.limit import Limit
from llmstack.middleware._budget.money import nano
from llmstack.middleware._budget.window import Span
from llmstack.stores import Bucket, Charge, Record


@dataclass(frozen=True, slots=True)
class Draw:
    """One limit that an attempt draws on.

    Attributes:
        limit: The limit.
        span: Its window now.
        charge: What is asked of the ledger.
    """

    limit: Limit
    span: Span
    charge: Charge


@dataclass(frozen=True, slots=True)
class Plan:
    """What one attempt draws on.

    Attributes:
        call: The call as it will be sent.
        id: Of the reservation, and of the row.
        at: Seconds since the epoch.
        need: The most that it may take.
        cost: What that would cost, in nano-dollars; None if nobody knows.
        guessed: True if the price is a guess.
        draws: The limits.
        degraded_from: The model asked for, if this is another; empty if it is that.
    """

    call: Call
    id: str
    at: float
    need: Usage
    cost: int | None
    guessed: bool
    draws: tuple[Draw, ...]
    degraded_from: str = ""

    def record(self, **more: Any) -> Record:
        """The row, as far as it is known, with what `more` adds."""
        options = self.call.options
        told: dict[str, Any] = {
            "id": self.id,
            "call": self.call.id,
            "at": self.at,
            "endpoint": self.call.endpoint,
            "model": self.call.model or "",
            "host": self.call.host,
            "tenant": options.tenant or "",
            "tags": dict(options.tags),
            "number": self.call.attempts + 1,
            "reserved": self.cost or 0,
            "notes": {"degraded_from": self.degraded_from} if self.degraded_from else {},
        }
        told.update(more)
        return Record(**told)

    def unlimited(self) -> tuple[Charge, ...]:
        """The charges, to be counted whatever the limits say."""
        return tuple(
            Charge(draw.charge.bucket, draw.charge.slice, None, draw.charge.amount, draw.charge.keep_until)
            for draw in self.draws
        )

    def amounts(self, usage: Usage, cost: int) -> list[int]:
        """What an attempt took, for each draw."""
        return [amount_of(draw.limit, usage, cost) for draw in self.draws]


def plan_of(
    call: Call, limits: Sequence[Limit], at: float, need: Usage, price: Decimal | None, *, guessed: bool
) -> Plan:
    """Plan an attempt.

    Args:
        call: The call as it will be sent.
        limits: The limits that hold for it.
        at: Seconds since the epoch.
        need: The most that it may take.
        price: US dollars that this would cost; None if nobody knows.
        guessed: True if that is a guess.
    """
    cost = None if price is None else nano(price)
    draws: dict[str, Draw] = {}
    for limit in limits:
        span = limit.window.at(at)
        bucket = Bucket(limit.bucket(call), span.since)
        charge = Charge(bucket, span.slice, limit.units, amount_of(limit, need, cost or 0), span.keep_until)
        # Two limits on the same account: the lower one holds, and nothing is counted twice.
        other = draws.get(bucket.name)
        if other is None or limit.units < other.limit.units:
            draws[bucket.name] = Draw(limit, span, charge)
    return Plan(call, fresh("res"), at, need, cost, guessed, tuple(draws.values()))


def amount_of(limit: Limit, usage: Usage, cost: int) -> int:
    """What a limit counts of it."""
    if limit.unit == "usd":
        return cost
    return usage.total_tokens if limit.unit == "tokens" else 1
