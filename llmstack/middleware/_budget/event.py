"""What Budget tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from llmstack.events import Event

__all__ = ["BudgetAlert", "BudgetDegraded", "BudgetExceeded", "BudgetUnavailable", "CostBooked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetAlert(Event):
    """A limit has been used up to a threshold. Once for each threshold and window.

    Attributes:
        limit: The limit, as it is written.
        scope: For whom, such as ``{"user": "ann"}``; empty for a limit for all.
        threshold: The share of the limit, such as 0.8.
        spent: Dollars, tokens or calls.
        allowed: The limit's amount, in the same.
        resets_at: When the window ends.
        alert: The same in a sentence.
    """

    limit: str
    scope: Mapping[str, str] = field(default_factory=dict)
    threshold: float
    spent: Decimal | int
    allowed: Decimal | int
    resets_at: datetime
    alert: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExceeded(Event):
    """A call would exceed a limit.

    Attributes:
        limit: The limit, as it is written.
        scope: For whom.
        spent: Dollars, tokens or calls.
        reserved: The same, for calls under way.
        asked: What the call might take at most.
        resets_at: When the window ends.
        passed: True if it was sent all the same (``on_exceed="warn"``).
        alert: The same in a sentence.
    """

    limit: str
    scope: Mapping[str, str] = field(default_factory=dict)
    spent: Decimal | int
    reserved: Decimal | int
    asked: Decimal | int
    resets_at: datetime
    passed: bool
    alert: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDegraded(Event):
    """A call was sent to a cheaper model, since the one asked for would exceed a limit.

    Attributes:
        limit: The limit, as it is written.
        asked_model: The model asked for.
        sent_model: The model it was sent to.
    """

    limit: str
    asked_model: str
    sent_model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUnavailable(Event):
    """The ledger could not be used.

    Attributes:
        operation: ``"reserve"``, ``"settle"``, ``"release"`` or ``"add"``.
        passed: True if the call went on all the same.
        error: Why.
        alert: The same in a sentence.
    """

    operation: str
    passed: bool
    error: Exception
    alert: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBooked(Event):
    """An attempt is in the books.

    Attributes:
        number: Which attempt of the call, from 1.
        model: The model that it was sent to.
        cost: US dollars; None if no price is known.
        reserved: US dollars that had been reserved; 0 where there is no limit in dollars.
        estimated: How the cost is known; see `llmstack.stores.Record`.
    """

    number: int
    model: str
    cost: Decimal | None
    reserved: Decimal
    estimated: str
