"""Table: what a benchmark found, for people and for programs; and how to measure without fooling oneself."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows of numbers under headings, and what to conclude."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        cells = [[_shown(value) for value in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]
        lines = [_line(self.columns, widths), "|" + "|".join(_rule(i, width) for i, width in enumerate(widths)) + "|"]
        lines += [_line(row, widths) for row in cells]
        return "\n".join([f"### {self.title}", "", *lines, "", *self.notes])

    def json(self) -> dict[str, Any]:
        return asdict(self)


def _shown(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        f"{cell:>{width}}" if i else f"{cell:<{width}}"
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *rest]) + " |"


def _rule(i: int, width: int) -> str:
    return "-" * (width + 2) if i == 0 else "-" * (width + 1) + ":"


def interleaved(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each in turn, round after round, the order turning: what disturbs the machine disturbs all of them."""
    names = list(works)
    found: dict[str, list[float]] = {name: [] for name in names}
    for name in names:  # once for the caches
        works[name]()
    with no_collection():
        for i in range(rounds):
            for k in range(len(names)):
                name = names[(i + k) % len(names)]
                found[name].append(works[name]())
            gc.collect()
    return found


@contextmanager
def no_collection() -> Generator[None, None, None]:
    """Collect no cycles in the midst of a measurement."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)
