"""`llmstack usage`: what was spent, as tables and bars, as JSON or CSV, or as a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from llmstack.cli.failure import UsageError
from llmstack.cli.terminal import console
from llmstack.cli.usage_export import as_csv, as_json
from llmstack.cli.usage_page import page
from llmstack.cli.usage_report import Report, as_tables
from llmstack.effects import drive
from llmstack.middleware.budget import Budget, Sums, added_up
from llmstack.stores import Ledger, open_store
from llmstack.stores.sqlite import SqliteStore

_LENGTH = re.compile(r"(\d+)\s*([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked for.

    Attributes:
        since: As `beginning` reads it.
        until: A day, not included; None for now.
        by: Keys; empty for the usual ones.
        form: ``"tables"``, ``"json"`` or ``"csv"``.
        page: Where to write the page; None for none.
    """

    since: str
    until: str | None
    by: Sequence[str]
    form: str
    page: Path | None


def usage(ledger: Ledger, asked: Asked, now: datetime | None = None) -> None:
    """Show what was spent.

    Raises:
        UsageError: If it was asked for in a way that cannot be.
        llmstack.errors.StoreError: If the ledger cannot be used.
    """
    now = now or datetime.now(UTC)
    since = beginning(asked.since, now)
    until = beginning(asked.until, now) if asked.until else None
    keys = list(asked.by) or ["model", "day"]
    # The page and the bars show the days in any case.
    sums = Sums([*keys, *(["day"] if "day" not in keys else [])], UTC)
    drive(added_up(ledger, sums, since.timestamp(), None if until is None else until.timestamp()))
    report = Report(since, until or now, sums.total(), {key: sums.groups(key) for key in keys}, sums.groups("day"))
    if asked.page is not None:
        write(asked.page, page(report))
        console(stderr=True).print(f"wrote {asked.page}")
        return
    if asked.form == "tables":
        console().print(as_tables(report))
    else:
        console().out((as_json if asked.form == "json" else as_csv)(report), end="")


def write(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        UsageError: If it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


def beginning(text: str, now: datetime) -> datetime:
    """Read a time: ``24h``, ``7d``, ``4w`` ago; ``today``, ``month``, ``year``; ``2026-11-01``; ``all``.

    Raises:
        UsageError: If it is none of these.
    """
    word = text.strip().lower()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    named = {
        "today": midnight,
        "yesterday": midnight - timedelta(days=1),
        "week": midnight - timedelta(days=midnight.weekday()),
        "month": midnight.replace(day=1),
        "year": midnight.replace(month=1, day=1),
        "all": datetime.fromtimestamp(0, UTC),
    }
    if word in named:
        return named[word]
    length = _LENGTH.fullmatch(word)
    try:
        if length is not None:
            return now - timedelta(hours=int(length[1]) * _HOURS[length[2]])
        day = date.fromisoformat(word)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is no time; write 24h, 7d or 4w, {', '.join(named)}, or a day such as 2026-11-01"
        ) from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def ledger_of(store: str | None, plugins: Sequence[Any]) -> Ledger:
    """The ledger to read: at the URL, or that of the configured stack's Budget.

    Raises:
        UsageError: If there is none that outlives a process.
        llmstack.errors.OptionError: If nobody knows the URL.
    """
    if store is not None:
        opened = open_store(store)
        if isinstance(opened, SqliteStore) and not opened.path.exists():  # else it would be made, and be empty
            raise UsageError(f"there is no ledger at {opened.path}: no call has been booked there; is it another file?")
        return opened.ledger()
    for plugin in plugins:
        if isinstance(plugin, Budget) and not plugin.in_memory:
            return plugin.ledger
    raise UsageError(
        "there is no ledger to read: name one with --store sqlite:///path/to/llm.db, or a config file whose [budget] "
        "has a store (one in memory ends with its process)"
    )
