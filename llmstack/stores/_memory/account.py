"""Accounts in memory: the slices of buckets, and their sums. Whoever uses them holds the lock."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from llmstack.stores.ledger import Balance, Bucket, Charge, Refused

__all__ = ["Accounts", "refusal"]


@dataclass(slots=True)
class _Slice:
    spent: int
    held: int
    keep_until: int
    forget_at: float  # on the monotonic clock, so that a clock that jumps makes nothing forgotten


class Accounts:
    """What was spent and what is held, by bucket and slice."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._buckets: dict[str, dict[int, _Slice]] = {}
        self._over: list[tuple[float, str, int]] = []  # a heap: when to look which slice over

    def balance(self, bucket: Bucket) -> Balance:
        """The sums of a bucket's counted slices."""
        counted = [s for begin, s in self._buckets.get(bucket.name, {}).items() if begin >= bucket.since]
        return Balance(spent=sum(s.spent for s in counted), held=sum(s.held for s in counted))

    def hold(self, charges: Iterable[Charge], time: float, monotonic: float, held: list[Charge]) -> None:
        """Reserve; the slices are made if they are not there.

        Args:
            charges: What is reserved.
            held: Takes each as soon as it is, so that an interruption leaves no doubt about them.
            time: Seconds since the epoch.
            monotonic: Seconds of the monotonic clock.
        """
        for charge in charges:
            forget_at = monotonic + max(0.0, charge.keep_until - time)
            slices = self._buckets.setdefault(charge.bucket.name, {})
            found = slices.get(charge.slice)
            if found is None:
                found = slices[charge.slice] = _Slice(0, 0, charge.keep_until, forget_at)
                heapq.heappush(self._over, (forget_at, charge.bucket.name, charge.slice))
            else:
                found.keep_until = max(found.keep_until, charge.keep_until)
                found.forget_at = max(found.forget_at, forget_at)
            found.held += charge.amount
            held.append(charge)

    def move(self, charge: Charge, *, held: int, spent: int) -> None:
        """Add to a charge's slice; a slice that is forgotten stays so.

        Args:
            charge: Which slice.
            held: What is held more, or less (negative).
            spent: What is spent more, or less.
        """
        found = self._buckets.get(charge.bucket.name, {}).get(charge.slice)
        if found is not None:
            found.held += held
            found.spent += spent

    def sweep(self, monotonic: float) -> None:
        """Forget slices that have been kept for as long as was asked when they were used."""
        over = self._over
        while over and over[0][0] <= monotonic:
            _, name, begin = over[0]
            found = self._buckets.get(name, {}).get(begin)
            if found is None:
                heapq.heappop(over)
            elif found.forget_at > monotonic or found.held:
                later = max(found.forget_at, monotonic + 1.0)
                heapq.heapreplace(over, (later, name, begin))
            else:
                heapq.heappop(over)
                self._forget(name, begin)

    def prune(self, time: float) -> None:
        """Forget slices whose time (seconds since the epoch) is over."""
        over = [
            (name, begin)
            for name, slices in self._buckets.items()
            for begin, found in slices.items()
            if found.keep_until <= time and not found.held
        ]
        for name, begin in over:
            self._forget(name, begin)

    def _forget(self, name: str, begin: int) -> None:
        slices = self._buckets[name]
        del slices[begin]
        if not slices:
            del self._buckets[name]


def refusal(accounts: Accounts, charges: Iterable[Charge]) -> Refused | None:
    """The first charge that does not fit, those before it counted; None if all do."""
    before: dict[str, int] = {}
    for i, charge in enumerate(charges):
        name = charge.bucket.name
        already = before.get(name, 0)
        if charge.limit is not None:
            balance = accounts.balance(charge.bucket)
            if balance.spent + balance.held + already + charge.amount > charge.limit:
                return Refused(charge=i, balance=balance)
        before[name] = already + charge.amount
    return None
