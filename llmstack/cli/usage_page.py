"""What was spent, as a page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from html import escape
from importlib.resources import files
from string import Template

from llmstack.cli.usage_report import Report, count, money, name_of, period
from llmstack.middleware.budget import Spending

_WIDTH, _HEIGHT = 880, 200
_LEFT, _BOTTOM = 64, 24
_MOST_DAYS = 120
"""Bars of days at most; of a longer time the last ones are drawn."""

_MOST_ROWS = 30
"""Rows of a table at most; the rest is added up in one."""


def page(report: Report) -> str:
    """The report as an HTML page."""
    template = Template(files("llmstack.cli").joinpath("usage_page.html").read_text(encoding="utf-8"))
    total = report.total
    return template.substitute(
        period=escape(f"spent from {period(report)}"),
        cost=escape(money(total.cost)),
        tiles="\n".join(
            _tile(name, value)
            for name, value in (
                ("calls", count(total.calls)),
                ("requests", count(total.attempts)),
                ("tokens read", count(total.input_tokens)),
                ("tokens written", count(total.output_tokens)),
                ("saved by caching", money(total.saved)),
                ("failed", count(total.failed)),
            )
        ),
        notes="\n".join(f"<p class=note>{escape(note)}</p>" for note in _notes(total)),
        days=_days(report.days),
        tables="\n".join(_table(key, groups) for key, groups in report.groups.items() if key != "day"),
    )


def _tile(name: str, value: str) -> str:
    return f"<div class=tile><b>{escape(value)}</b><span>{escape(name)}</span></div>"


def _notes(total: Spending) -> list[str]:
    notes: list[str] = []
    if total.estimated:
        notes.append(f"{money(total.estimated)} of it is estimated, since the provider did not tell the usage.")
    if total.unpriced:
        notes.append(f"{count(total.unpriced)} requests have no known price and are not in the sum.")
    if not total.calls:
        notes.append("Nothing was spent in this time.")
    return notes


# Days ---------------------------------------------------------------------------------------------------------------


def _days(days: Sequence[Spending]) -> str:
    """Bars by day, those without any spending included."""
    filled = _filled(days)[-_MOST_DAYS:]
    if not filled:
        return ""
    most = max((one.cost for one in filled), default=Decimal(0)) or Decimal(1)
    step = (_WIDTH - _LEFT) / len(filled)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _BOTTOM}" role="img" aria-label="US dollars by day">',
        *_scale(most),
    ]
    every = max(1, len(filled) // 8)
    for i, one in enumerate(filled):
        height = float(one.cost / most) * (_HEIGHT - 10)
        x, width = _LEFT + i * step + step * 0.1, step * 0.8
        title = f"{one.key}: {money(one.cost)}, {count(one.attempts)} requests"
        parts.append(
            f'<rect class=bar x="{x:.1f}" y="{_HEIGHT - height:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2">'
            f"<title>{escape(title)}</title></rect>"
        )
        if i % every == 0:
            parts.append(f'<text x="{x + width / 2:.1f}" y="{_HEIGHT + 16}" text-anchor="middle">{one.key[5:]}</text>')
    return "\n".join(["<h2>By day</h2>", *parts, "</svg>"])


def _filled(days: Sequence[Spending]) -> list[Spending]:
    if not days:
        return []
    known = {one.key: one for one in days}
    first, last = date.fromisoformat(days[0].key), date.fromisoformat(days[-1].key)
    keys = (str(first + timedelta(days=i)) for i in range((last - first).days + 1))
    return [known.get(key) or Spending(key) for key in keys]


def _scale(most: Decimal) -> list[str]:
    lines: list[str] = []
    for part in (0, 1, 2):
        y = _HEIGHT - (_HEIGHT - 10) * part / 2
        lines.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = escape(money(most * part / 2))
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    return lines


# Tables -------------------------------------------------------------------------------------------------------------


def _table(key: str, groups: Sequence[Spending]) -> str:
    most = max((one.cost for one in groups), default=Decimal(0)) or Decimal(1)
    shown = list(groups[:_MOST_ROWS])
    rest = groups[_MOST_ROWS:]
    if rest:
        shown.append(_together(rest))
    rows = "\n".join(_row(one, float(one.cost / most)) for one in shown)
    heads = "".join(
        f"<th{' class=number' if i else ''}>{escape(head)}</th>"
        for i, head in enumerate((key, "requests", "tokens read", "tokens written", "cost"))
    )
    return (
        f"<h2>By {escape(key)}</h2><div class=scroll><table>"
        f"<thead><tr>{heads}<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(one: Spending, share: float) -> str:
    numbers = (count(one.attempts), count(one.input_tokens), count(one.output_tokens), money(one.cost))
    cells = "".join(f"<td class=number>{escape(number)}</td>" for number in numbers)
    drawn = f'<td class=share><i style="width:{min(1.0, share) * 100:.1f}%"></i></td>'
    return f"<tr><td>{escape(name_of(one))}</td>{cells}{drawn}</tr>"


def _together(groups: Sequence[Spending]) -> Spending:
    return Spending(
        key=f"{len(groups)} others",
        attempts=sum(one.attempts for one in groups),
        input_tokens=sum(one.input_tokens for one in groups),
        output_tokens=sum(one.output_tokens for one in groups),
        cost=sum((one.cost for one in groups), Decimal(0)),
    )
