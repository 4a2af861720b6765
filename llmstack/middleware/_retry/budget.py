"""The retry budget: retries are paid for from a bucket that successes refill, so that a storm is not made worse."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from cachetools import LRUCache

from llmstack.middleware._retry.lock import LOCK

_MOST = 1024
"""Buckets kept. One that was dropped is full when it is needed again."""


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many retries a struggling service gets.

    A bucket of tokens for each host and model. A retry takes `cost` from it, after a time-out `timeout_cost`; a call
    that succeeds brings back what its last retry cost, or 1 if it needed none. With too few tokens left an error is
    raised at once. When all calls fail, 1,000 calls make 1,100 requests with the default numbers, and not 3,000.

    Source: the standard retry mode of the AWS SDKs, whose numbers these are.

    Args:
        capacity: Tokens in a full bucket.
        cost: Tokens for a retry.
        timeout_cost: Tokens for a retry after a time-out.

    Raises:
        ValueError: If one of them is less than 1.
    """

    capacity: int = 500
    cost: int = 5
    timeout_cost: int = 10

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("capacity", "cost", "timeout_cost"):
            if getattr(self, name) < 1:
                raise ValueError(f"the retry budget's {name} must be at least 1 token, not {getattr(self, name)}")


class Buckets:
    """The buckets of one budget. May be used by any number of threads."""

    def __init__(self, budget: RetryBudget) -> None:
        """Begin with all buckets full."""
        self._budget = budget
        # Only buckets that are not full.
        self._tokens: LRUCache[Hashable, int] = LRUCache(_MOST)

    def __len__(self) -> int:
        """How many buckets are not full."""
        return len(self._tokens)

    def left(self, key: Hashable) -> int:
        """Tokens in a bucket."""
        with LOCK:
            return self._tokens.get(key, self._budget.capacity)

    def take(self, key: Hashable, *, timeout: bool) -> int:
        """Pay for a retry.

        Args:
            key: Whose bucket.
            timeout: True after a time-out.

        Returns:
            The tokens paid; 0 if there are not enough, and then none are taken.
        """
        cost = self._budget.timeout_cost if timeout else self._budget.cost
        with LOCK:
            tokens = self._tokens.get(key, self._budget.capacity)
            if tokens < cost:
                return 0
            self._tokens[key] = tokens - cost
        return cost

    def give(self, key: Hashable, tokens: int) -> None:
        """A call has succeeded.

        Args:
            key: Whose bucket.
            tokens: What its last retry cost; 0 if it needed none, which brings 1.
        """
        if not self._tokens:  # the common case: nothing fails, all are full
            return
        with LOCK:
            present = self._tokens.get(key)
            if present is None:
                return
            if present + (tokens or 1) >= self._budget.capacity:
                del self._tokens[key]
            else:
                self._tokens[key] = present + (tokens or 1)
