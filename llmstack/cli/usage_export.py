"""What was spent, for programs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from typing import Any

from llmstack.cli.usage_report import Report
from llmstack.middleware.budget import Spending

_COLUMNS = [field.name for field in fields(Spending) if field.name != "key"]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_json(report: Report) -> str:
    """The report as JSON; amounts of money are text, which keeps them exact."""
    told = {
        "since": report.since.isoformat(),
        "until": report.until.isoformat(),
        "total": _plain(report.total, key=False),
        "by": {name: [_plain(one) for one in groups] for name, groups in report.groups.items()},
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def as_csv(report: Report) -> str:
    """The report as CSV (RFC 4180): a row for each group."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["by", "key", *_COLUMNS])
    for name, groups in report.groups.items():
        for one in groups:
            told = _plain(one)
            writer.writerow([name, _harmless(told["key"]), *(told[column] for column in _COLUMNS)])
    return file.getvalue()


def _plain(one: Spending, *, key: bool = True) -> dict[str, Any]:
    told = {
        name: f"{value:f}" if name in ("cost", "estimated", "saved") else value for name, value in asdict(one).items()
    }
    if not key:
        del told["key"]
    return told


def _harmless(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: a tag may come from anywhere."""
    return f"'{text}" if text.startswith(_FORMULA) else text
