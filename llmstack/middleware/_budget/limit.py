"""Limit: how much may be spent, over which time, and by whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Final, Literal, Self

from llmstack import Call
from llmstack.middleware._budget.money import dollars, nano, shown
from llmstack.middleware._budget.window import Window, window

Unit = Literal["usd", "tokens", "calls"]

_GRAMMAR: Final = re.compile(
    r"""
    (?P<dollar>\$)?\s*(?P<number>[\d_,]*\.?\d+)\s*(?P<factor>[kmb])?\s*(?P<unit>usd|tokens?|calls?)?
    \s*(?:/|\bper\s+(?=(?:minute|hour|day|week|month|year)\b)|\s)\s*(?P<window>ever|[a-z]+|\d+\s*[smhdw])
    (?:\s+for\s+(?P<where>\S+=\S+(?:\s*,\s*\S+=\S+)*))?
    (?:\s+per\s+(?P<per>[\w.-]+(?:\s*(?:,|and)\s*[\w.-]+)*))?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FACTORS: Final = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_OF_CALLS: Final = ("tenant", "model", "endpoint", "host")
"""Scopes that are no tags."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be spent.

        Limit.parse("$0.50/day per user")
        Limit(1_000_000, "tokens", Window("hour"), per=("team",), where={"model": "gpt-5*"})

    Attributes:
        amount: Dollars (`Decimal`), tokens or calls.
        unit: Of the amount: ``"usd"``, ``"tokens"`` (input and output together) or ``"calls"`` (requests sent).
        window: Over which time.
        per: Each value of these has a limit of its own: ``tenant``, ``model``, ``endpoint``, ``host``; other names are
            those of tags.
        where: Only calls whose values fit these patterns count: ``{"model": "gpt-5*"}``.
    """

    amount: Decimal | int
    unit: Unit = "usd"
    window: Window = field(default_factory=Window)
    per: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the amount.

        Raises:
            TypeError: If it is a float, which has no exact value.
            ValueError: If it is negative, or a fraction of a token or a call.
        """
        if isinstance(self.amount, float):
            message = f"the amount {self.amount} is a float: give Decimal('{self.amount}') or an int"
            raise TypeError(message)
        amount = Decimal(self.amount)
        if not amount.is_finite() or amount < 0 or (self.unit != "usd" and amount != amount.to_integral_value()):
            message = f"a limit of {self.amount} {self.unit} cannot be"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> Self:
        """Read a limit as people write it.

        Args:
            text: An amount (``$5``, ``0.5 USD``, ``1M tokens``, ``1000 calls``), a slash, a window (``day``, ``month``
                of the calendar; ``24h``, ``30d`` rolling; ``ever``), and if wanted ``for model=gpt-5*`` and
                ``per user, team``.
            zone: The time zone of calendar windows.

        Raises:
            ValueError: If it cannot be read; the message shows how it is written.
        """
        match = _GRAMMAR.fullmatch(text.strip())
        if match is None or bool(match["dollar"]) == bool(match["unit"]):
            raise ValueError(f"{text!r} is no limit; write {_EXAMPLES}")
        unit = _unit(match["unit"])
        try:
            amount = Decimal(re.sub(r"[_,]", "", match["number"])) * _FACTORS[(match["factor"] or "").lower()]
        except InvalidOperation as error:
            raise ValueError(f"{text!r} is no limit: {match['number']!r} is no number") from error
        per = tuple(re.split(r"\s*,\s*|\s+and\s+", match["per"])) if match["per"] else ()
        pairs = re.split(r"\s*,\s*", match["where"]) if match["where"] else []
        where = {name: pattern for name, _, pattern in (pair.partition("=") for pair in pairs)}
        try:
            return cls(
                amount if unit == "usd" or amount % 1 else int(amount), unit, window(match["window"], zone), per, where
            )
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from error

    def __str__(self) -> str:
        """As it is written."""
        amount = f"${self.amount:f}" if self.unit == "usd" else f"{self.amount} {self.unit}"
        where = ", ".join(f"{name}={pattern}" for name, pattern in self.where.items())
        per = ", ".join(self.per)
        return f"{amount}/{self.window}{where and f' for {where}'}{per and f' per {per}'}"

    @property
    def units(self) -> int:
        """The amount in what accounts count: nano-dollars, tokens, calls."""
        return nano(Decimal(self.amount)) if self.unit == "usd" else int(self.amount)

    def fits(self, call: Call) -> bool:
        """Whether a call counts."""
        return all(fnmatchcase(value_of(call, name), pattern) for name, pattern in self.where.items())

    def bucket(self, call: Call) -> str:
        """The name of the account that a call is counted in."""
        parts = [self.unit, str(self.window) if self.window.zone == "UTC" else f"{self.window}@{self.window.zone}"]
        parts += [f"{name}~{_escaped(pattern)}" for name, pattern in sorted(self.where.items())]
        parts += [f"{name}={_escaped(value_of(call, name))}" for name in sorted(self.per)]
        return "/".join(parts)

    def scope(self, call: Call) -> dict[str, str]:
        """By whom it was, for messages and reports."""
        return {name: value_of(call, name) for name in self.per}

    def shown(self, amount: int) -> str:
        """An amount of this limit as a message tells it."""
        return shown(amount, self.unit)

    def exact(self, amount: int) -> Decimal | int:
        """An amount of this limit as `amount` has it."""
        return dollars(amount) if self.unit == "usd" else amount


_EXAMPLES: Final = '"$5/day", "$0.50/day per user", "1M tokens/hour per team", "1000 calls/24h for model=gpt-5*"'
_LONGEST: Final = 100
"""Characters of a value in the name of an account."""


def _unit(word: str | None) -> Unit:
    lowered = (word or "usd").lower()
    return "usd" if lowered == "usd" else "tokens" if lowered.startswith("token") else "calls"


def value_of(call: Call, name: str) -> str:
    """What a call has for a scope; empty if nothing."""
    if name not in _OF_CALLS:
        return call.options.tags.get(name, "")
    if name == "tenant":
        return call.options.tenant or ""
    if name == "model":
        return call.model or ""
    return call.endpoint if name == "endpoint" else call.host


def _escaped(value: str) -> str:
    """A value in the name of an account: two values never share one, also if they are long or hold a slash."""
    plain = value.replace("%", "%25").replace("/", "%2F")
    if len(plain) <= _LONGEST and plain.isascii():
        return plain
    from hashlib import sha256

    return f"%{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
