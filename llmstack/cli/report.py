"""Report: what happened to calls, for a person to read."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from llmstack import Usage
from llmstack.cli.measure import duration, tokens
from llmstack.cli.observed import Written
from llmstack.cli.path import Marks, marks_for, path
from llmstack.cli.scene import Scene
from llmstack.cli.text import escaped, shortened
from llmstack.cli.trace import Trail

_LABEL = 11
"""Columns before what the program got: an indent and a label."""
_TIME = len("0.12 ms")
"""Columns of a time: the table looks the same however long anything took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a scene.

    Attributes:
        scene: The scene.
        trails: Its calls.
        got: What the program received.
        error: What was raised to the program, in words; empty if nothing was.
        seconds: How long it all took.
        written: What Logging and Sentry wrote of it.
        problem: How it differs from what must come of it; empty if it does not.
    """

    scene: Scene
    trails: Sequence[Trail]
    got: Sequence[str]
    error: str
    seconds: float
    written: Written
    problem: str

    @property
    def statuses(self) -> list[int | None]:
        """What each request brought, None for no answer."""
        return [attempt.status for trail in self.trails for attempt in trail.attempts]

    @property
    def usage(self) -> Usage | None:
        """The tokens of all calls; None if no call told."""
        told = [t.finished.usage for t in self.trails if t.finished and t.finished.usage and not t.finished.cached]
        return sum(told, Usage()) if told else None

    @property
    def outcomes(self) -> list[str]:
        """How each call ended."""
        return [trail.finished.outcome if trail.finished else "unfinished" for trail in self.trails]


class Report:
    """Prints scenes as they are played, and the summary."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.marks: Marks = marks_for(console)
        self._room = 0

    def begin(self, number: int, scene: Scene) -> None:
        """The heading of a scene and the program's line."""
        self.console.print(Rule(Text(f"{number} {self.marks.dot} {scene.title}", "bold"), align="left", style="dim"))
        self.console.print(Padding(Text(scene.code, "dim"), (0, 0, 0, 3), expand=False))
        if scene.streamed:
            self._room = self.console.width - _LABEL - 3
            self.console.print(f"{'':3}{'got':8}", end="", style="dim")

    def piece(self, text: str) -> None:
        """A piece of a stream, as it arrives; on one line, cut where that ends."""
        if self._room > 0:
            shown = escaped(" ".join(text.splitlines()))[: self._room]
            self._room -= len(shown)
            self.console.print(shown if self._room else shown + "...", end="", soft_wrap=True)

    def end(self, result: Result) -> None:
        """What came of the scene."""
        if result.scene.streamed:
            self.console.print()
        else:
            for text in result.got:
                self._row("got", Text(shortened(text, self.console.width - _LABEL)))
        if result.error:
            self._row("raised", Text(result.error, "red"))
        for line in self._ways(result.trails):
            self.console.print(Padding(line, (0, 0, 0, 3), expand=False))
        self.console.print(Padding(Text(facts(result, self.marks), "dim"), (0, 0, 0, 3), expand=False))
        if result.scene.observed:
            self._observers(result.written)
        if result.scene.note:
            self.console.print(Padding(Text(result.scene.note, "italic"), (0, 0, 0, 3), expand=False))
        if result.problem:
            self._row("BUT", Text(result.problem, "bold red"))
        self.console.print()

    def summary(self, results: Sequence[Result]) -> None:
        """All scenes in a table."""
        table = Table(
            box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_footer=True,
            header_style="bold", footer_style="bold",
        )  # fmt: skip
        usage = sum((result.usage for result in results if result.usage), Usage())
        calls = sum(len(result.trails) for result in results)
        table.add_column("", justify="right")
        table.add_column("What the program did", footer=f"{calls} calls", overflow="fold")
        table.add_column("Requests", footer=str(sum(len(result.statuses) for result in results)))
        table.add_column("Outcome")
        total = duration(sum(result.seconds for result in results))
        table.add_column("Time", justify="right", footer=total, min_width=_TIME)
        table.add_column("Tokens", justify="right", footer=f"{usage.input_tokens} + {usage.output_tokens}")
        for number, result in enumerate(results, start=1):
            both = "" if result.usage is None else f"{result.usage.input_tokens} + {result.usage.output_tokens}"
            mark = Text(f"{self.marks.bad} unexpected", "bold red") if result.problem else self._outcome(result)
            requests = " ".join(str(status or "-") for status in result.statuses) or "none"
            table.add_row(str(number), result.scene.title, requests, mark, duration(result.seconds), both)
        self.console.print(table)

    def _outcome(self, result: Result) -> Text:
        style = {"ok": "green", "incomplete": "yellow"}.get(result.scene.outcome, "red")
        return Text(", ".join(sorted(set(result.outcomes))), style)

    def _observers(self, written: Written) -> None:
        for line in written.lines:
            self._row("log", Text(_in_items(line, self.console.width - _LABEL), "dim"))
        if written.errors is None:
            return
        for crumb in written.crumbs:
            self._row("Sentry", Text(f"breadcrumb: {crumb}", "dim"))
        error = {0: "no error event: the call was saved", 1: "one error event"}.get(written.errors)
        self._row("Sentry", Text(error or f"{written.errors} error events", "dim"))

    def _row(self, label: str, text: Text) -> None:
        grid = Table.grid()
        grid.add_column(width=_LABEL, style="dim")
        grid.add_column(overflow="fold")
        grid.add_row(f"   {label}", text)
        self.console.print(grid)

    def _ways(self, trails: Sequence[Trail]) -> list[Text]:
        """The way of each call; one for all that took the same."""
        ways = {tuple((step.layer, step.kind) for step in trail.steps): trail for trail in reversed(trails)}
        lines = [line for trail in reversed(ways.values()) for line in path(trail, self.marks, self.console.width - 3)]
        if lines and len(ways) < len(trails):
            lines[-1].append(f"  ({len(trails)} calls)", "dim")
        return lines


def _in_items(line: str, width: int) -> str:
    """A JSON object on lines of some width, broken between its items only."""
    items = [f"{json.dumps(name)}: {json.dumps(value)}".replace(" ", "\0") for name, value in json.loads(line).items()]
    return textwrap.fill("{" + ", ".join(items) + "}", width, break_on_hyphens=False).replace("\0", " ")


def facts(result: Result, marks: Marks) -> str:
    """Attempts, time and tokens, in a line."""
    attempts = len(result.statuses)
    parts = [f"{attempts} attempt{'' if attempts == 1 else 's'}", duration(result.seconds)]
    firsts = [t.finished.time_to_first_chunk for t in result.trails if t.finished and t.finished.time_to_first_chunk]
    parts += [f"first word after {duration(first)}" for first in firsts]
    if result.usage is not None:
        parts.append(tokens(result.usage))
    return f" {marks.dot} ".join(parts)
