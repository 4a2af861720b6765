"""Money: US dollars as `Decimal` for people, whole nano-dollars for accounts. Never a float."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

NANO = 1_000_000_000
"""Nano-dollars in a dollar."""

_CENT = Decimal("0.01")


def nano(dollars: Decimal) -> int:
    """Dollars as nano-dollars; a fraction of one counts as a whole one, so that a sum is never too low.

    Raises:
        TypeError: If it is no Decimal: what a price hook has returned comes here, too.
        ValueError: If it is negative or no number at all: no account may be credited by a price.
    """
    if not isinstance(dollars, Decimal):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = f"a price must be a Decimal, in US dollars, not {type(dollars).__name__}; see the hook llmstack_price"
        raise TypeError(message)
    if not dollars.is_finite() or dollars < 0:
        message = f"{dollars} is no amount of money"
        raise ValueError(message)
    return int((dollars * NANO).to_integral_value(rounding=ROUND_CEILING))


def dollars(amount: int) -> Decimal:
    """Nano-dollars as dollars, exactly."""
    return Decimal(amount) / NANO


def shown(amount: int, unit: str) -> str:
    """An amount as a message tells it: ``"$4.98"``, ``"$0.000123"``, ``"1,200 tokens"``."""
    if unit != "usd":
        return f"{amount:,} {unit}"
    value = dollars(amount)
    if value == value.quantize(_CENT):
        return f"${value:,.2f}"
    return f"${value.normalize():,f}" if value < 1 else f"${value:,.4f}"
