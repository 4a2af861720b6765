"""Status: how much of each limit is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from llmstack import Call, Flow
from llmstack.middleware._budget.limit import Limit
from llmstack.stores import Bucket, Ledger


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """How much of a limit is used.

    Attributes:
        limit: The limit, as it is written.
        scope: For whom.
        spent: Dollars, tokens or calls.
        reserved: The same, for calls under way.
        allowed: The limit's amount.
        resets_at: When the window ends.
    """

    limit: str
    scope: Mapping[str, str]
    spent: Decimal | int
    reserved: Decimal | int
    allowed: Decimal | int
    resets_at: datetime

    @property
    def left(self) -> Decimal | int:
        """What may still be reserved; not below 0."""
        return max(self.allowed - self.spent - self.reserved, type(self.allowed)(0))

    @property
    def used(self) -> float:
        """The share that is spent, from 0 to 1 and beyond."""
        return float(self.spent / self.allowed) if self.allowed else 1.0


def moment(seconds: float) -> datetime:
    """A time as people read it, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def statuses(ledger: Ledger, limits: Sequence[Limit], call: Call, at: float) -> Flow[list[LimitStatus]]:
    """How much is used of the limits that hold for a call.

    Args:
        ledger: The ledger.
        limits: All limits.
        call: The call; its tags, tenant and model tell whose accounts are meant.
        at: Seconds since the epoch.

    Raises:
        llmstack.errors.StoreError: If the ledger cannot be used.
    """
    held = [limit for limit in limits if limit.fits(call)]
    spans = [limit.window.at(at) for limit in held]
    buckets = [Bucket(limit.bucket(call), span.since) for limit, span in zip(held, spans, strict=True)]
    balances = yield from ledger.spent(buckets)
    return [
        LimitStatus(
            limit=str(limit),
            scope=limit.scope(call),
            spent=limit.exact(balance.spent),
            reserved=limit.exact(balance.held),
            allowed=limit.exact(limit.units),
            resets_at=moment(span.resets_at),
        )
        for limit, span, balance in zip(held, spans, balances, strict=True)
    ]
