"""What was spent, in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from llmstack.cli.text import shortened
from llmstack.middleware.budget import Spending

_BAR = 16
"""Columns of the longest bar."""

_NAME = 22
"""Columns of the longest name."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Report:
    """What was spent in a time.

    Attributes:
        since: From when on.
        until: Before when.
        total: All of it.
        groups: By key, such as ``{"model": [...]}``.
        days: By day.
    """

    since: datetime
    until: datetime
    total: Spending
    groups: Mapping[str, Sequence[Spending]]
    days: Sequence[Spending]


def money(amount: Decimal) -> str:
    """Dollars for people: cents, or as many digits as a small amount needs."""
    if amount == 0:
        return "$0.00"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}" if amount >= Decimal("0.0001") else f"${amount:.7f}"


def count(number: int) -> str:
    """A number for people: 950, 12.3k, 4.56M."""
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (10_000, "k")):
        if number >= size:
            return f"{number / (1000 if unit == 'k' else size):.3g}{unit}"
    return f"{number:,}"


def name_of(one: Spending) -> str:
    """What a row is called."""
    return one.key or "(none)"


def period(report: Report) -> str:
    """The time in words."""
    begun = "the beginning" if report.since.timestamp() == 0 else f"{report.since:%Y-%m-%d %H:%M}"
    return f"{begun} to {report.until:%Y-%m-%d %H:%M} UTC"


def as_tables(report: Report) -> Group:
    """The report as tables with bars."""
    parts: list[Any] = [Text("\n").join(_summary(report)), Text("")]
    for key, groups in report.groups.items():
        parts += [_table(key, groups), Text("")]
    if report.total.calls == 0:
        parts = [Text(f"nothing was spent: there is no row from {period(report)}")]
    return Group(*parts)


def _summary(report: Report) -> Iterable[Text]:
    total = report.total
    yield Text.assemble((money(total.cost), "bold"), f" spent from {period(report)}")
    yield Text(
        f"{count(total.calls)} calls, {count(total.attempts)} requests ({count(total.failed)} failed), "
        f"{count(total.cached)} answered from a cache"
    )
    yield Text(
        f"{count(total.input_tokens)} tokens read ({count(total.cached_tokens)} from the provider's cache), "
        f"{count(total.output_tokens)} written"
    )
    if total.saved:
        yield Text(f"{money(total.saved)} saved by the cache", style="green")
    if total.estimated:
        yield Text(f"{money(total.estimated)} of it is estimated", style="yellow")
    if total.unpriced:
        yield Text(f"{count(total.unpriced)} requests have no known price and are not in the sum", style="yellow")


def _table(key: str, groups: Sequence[Spending]) -> Table:
    # Numbers of up to 8 and 9 characters and the bar leave 22 of 80 for the name.
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column(shortened(key, _NAME), min_width=8, max_width=_NAME, no_wrap=True)
    for heading in ("requests", "read", "written", "cost"):
        table.add_column(heading, justify="right", min_width=len(heading), no_wrap=True)
    table.add_column("", width=_BAR, min_width=_BAR, no_wrap=True)
    most = max((one.cost for one in groups), default=Decimal(0))
    for one in groups:
        share = float(one.cost / most) if most else 0.0
        table.add_row(
            Text(shortened(name_of(one), _NAME)),
            count(one.attempts),
            count(one.input_tokens),
            count(one.output_tokens),
            money(one.cost),
            Text(bar(share, _BAR), style="cyan"),
        )
    return table


def bar(share: float, width: int) -> str:
    """A bar as long as a share of the width, in eighths of a column; at least a hair if it is anything."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    whole, rest = divmod(eighths, 8)
    return _EIGHTHS[8] * whole + (_EIGHTHS[rest] if rest else "")
