"""Alerts: a limit has been used up to a threshold."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from cachetools import LRUCache

from llmstack.middleware._budget.event import BudgetAlert
from llmstack.middleware._budget.plan import Plan
from llmstack.middleware._budget.status import moment
from llmstack.stores import Balance

_REMEMBERED = 10_000
"""Thresholds remembered as told."""


class Alerts:
    """Tells when a settlement takes an account over a threshold.

    Settlements of one account come one after the other, whatever process they come from, so just one of them crosses:
    no process has to know of the others. What has been told is remembered all the same: in a rolling window an account
    may fall and rise again.
    """

    def __init__(self, thresholds: Sequence[float]) -> None:
        """Take the thresholds, as shares of a limit."""
        self._thresholds = sorted(thresholds)
        self._told: LRUCache[tuple[str, float], int] = LRUCache(_REMEMBERED)
        self._lock = threading.Lock()

    def crossed(self, plan: Plan, amounts: Sequence[int], balances: Sequence[Balance]) -> Iterator[BudgetAlert]:
        """The alerts for a settlement: what it took of each account, and what these hold now."""
        for draw, amount, balance in zip(plan.draws, amounts, balances, strict=True):
            limit, allowed = draw.limit, draw.limit.units
            for threshold in self._thresholds:
                mark = threshold * allowed
                if balance.spent - amount < mark <= balance.spent and self._first(
                    draw.charge.bucket.name, plan, threshold
                ):
                    spent = limit.exact(balance.spent)
                    yield BudgetAlert(
                        call=plan.call.info,
                        limit=str(limit),
                        scope=limit.scope(plan.call),
                        threshold=threshold,
                        spent=spent,
                        allowed=limit.exact(allowed),
                        resets_at=moment(draw.span.resets_at),
                        alert=f"{threshold:.0%} of the budget {limit} is spent: {limit.shown(balance.spent)}",
                    )

    def _first(self, bucket: str, plan: Plan, threshold: float) -> bool:
        """Whether this threshold has not been told of yet in this window."""
        ends = next(draw.span.resets_at for draw in plan.draws if draw.charge.bucket.name == bucket)
        with self._lock:
            if self._told.get((bucket, threshold), 0) > plan.at:
                return False
            self._told[bucket, threshold] = ends
            return True
