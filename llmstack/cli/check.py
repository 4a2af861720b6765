"""`llmstack check`: whether the stack of a config would work, found out without sending anything."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from llmstack import CallInfo, Stack, Usage
from llmstack.cli.catalogue import active, checked
from llmstack.cli.failure import explained
from llmstack.cli.finding import Finding, Verdict
from llmstack.cli.path import marks_for
from llmstack.cli.reach import WatchedStack, reached
from llmstack.cli.setting import Setting
from llmstack.cli.terminal import console
from llmstack.cli.text import escaped
from llmstack.config import Checked
from llmstack.prices import Prices

_STYLES: Mapping[Verdict, str] = {"ok": "green", "note": "yellow", "bad": "red"}
_MILLION = 1_000_000


def check(setting: Setting, config: Path | None, *, models: Sequence[str], as_json: bool) -> bool:
    """Check the configured stack, and print what was found. No secret is printed.

    Args:
        setting: The setting of this run.
        config: The config file named for the command.
        models: Models whose prices must be known.
        as_json: True for JSON, False for text.

    Returns:
        True if nothing is wrong.
    """
    file = setting.config_file(config)
    findings = list(found(file, models))
    good = all(finding.verdict != "bad" for finding in findings)
    if as_json:
        console().out(escaped(json.dumps({"good": good, "findings": [asdict(f) for f in findings]}, indent=2)))
    else:
        _print(findings)
    return good


def found(file: Path | None, models: Sequence[str] = ()) -> Iterator[Finding]:
    """All there is to say of a config file; of the default stack if there is none."""
    first = checked(file)
    if first.stack is not None:
        first.stack.close()
    yield from _config(file, first)
    if first.errors:
        return
    with _watched(file) as stack:
        yield from _plugins(stack)
        yield from reached(stack)
        yield from _key(stack)
        yield from _prices(stack, models)


def _watched(file: Path | None) -> WatchedStack:
    """The stack once more, built by somebody who looks on: which stores its plugins open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # told already
        return WatchedStack.default() if file is None else WatchedStack.from_config(file)


def _config(file: Path | None, first: Checked) -> Iterator[Finding]:
    for error in first.errors:
        yield Finding("bad", "config", explained(error))
    if not first.errors:
        yield Finding("ok", "config", "no config file: the default stack" if file is None else str(file))
    for skipped in first.skipped:
        said = skipped.reason if skipped.broken else f"{skipped.name} from {skipped.origin} {skipped.reason}"
        yield Finding("bad" if skipped.broken else "note", "plugin", f"left out: {said}")
    for warning in first.warnings:
        if not any(skipped.reason in warning for skipped in first.skipped):
            yield Finding("note", "config", warning)


def _plugins(stack: Stack) -> Iterator[Finding]:
    origins: dict[str, list[str]] = {}
    for entry in active(stack):
        origins.setdefault(entry.origin, []).append(entry.name)
    for origin, names in origins.items():
        yield Finding("ok", "plugin", f"{', '.join(names)} ({origin})")


def _key(stack: Stack) -> Iterator[Finding]:
    place: Any = getattr(stack.transport, "place", None)
    if place is not None:  # it could not have been made without
        yield Finding("ok", "key", f"the transport {stack.transport.name} has its own")
    elif os.environ.get("OPENAI_API_KEY"):
        yield Finding("ok", "key", "OPENAI_API_KEY is set")
    else:
        yield Finding("bad", "key", "OPENAI_API_KEY is not set; clients need it, unless the program gives them a key")


def _prices(stack: Stack, models: Iterable[str]) -> Iterator[Finding]:
    for model in dict.fromkeys(models):
        read = _price(stack, model, Usage(input_tokens=_MILLION))
        written = _price(stack, model, Usage(output_tokens=_MILLION))
        if read is None or written is None:
            said = f'nobody knows what {model} costs; add it to the prices of [budget]: prices = {{ "{model}" = ... }}'
            yield Finding("bad", "price", said)
        else:
            yield Finding("ok", "price", f"{model}: ${read} for a million tokens read, ${written} written")


def _price(stack: Stack, model: str, usage: Usage) -> Decimal | None:
    """What the stack's plugins know; what is published if none of them knows prices."""
    info = CallInfo(
        id="", method="POST", path="", endpoint="", model=model, stream=False, tenant=None, tags={}, host=_HOST
    )
    known = stack.engine.price(model, usage, info)
    return Prices().cost(model, usage, host=_HOST) if known is None else known


_HOST = "api.openai.com"
"""Whose prices are meant if a model has several."""


def _print(findings: Sequence[Finding]) -> None:
    out = console()
    marks = marks_for(out)
    signs: Mapping[Verdict, str] = {"ok": marks.good, "note": "!", "bad": marks.bad}
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for finding in findings:
        style = _STYLES[finding.verdict]
        said = Text(escaped(finding.said), "" if finding.verdict == "ok" else style)
        table.add_row(Text(signs[finding.verdict], style), finding.what, said)
    out.print(table)
    bad = sum(finding.verdict == "bad" for finding in findings)
    out.print(Text(f"\n{bad} thing{'' if bad == 1 else 's'} to mend" if bad else "\nall good", "bold"))
