"""What is checked of amounts, in every store."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["check_amounts"]


def check_amounts(amounts: Sequence[int], charges: int) -> None:
    """Refuse amounts that do not fit a reservation.

    Args:
        amounts: What it did cost.
        charges: How many charges it has.

    Raises:
        ValueError: If there are not as many, or one is negative.
    """
    if len(amounts) != charges:
        raise ValueError(f"the reservation has {charges} charges, and {len(amounts)} amounts were given")
    if any(amount < 0 for amount in amounts):
        raise ValueError("what was spent must not be negative")
