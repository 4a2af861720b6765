"""Verdict: what somebody says about a text, and what follows from it under the program's thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CLEAN", "Finding", "Subject", "Verdict", "merged", "under"]

Subject = Literal["input", "output"]

UNNAMED = "flagged"
"""The category of a verdict that flags without saying what for."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a checker says about a text.

    Attributes:
        flagged: True if the text should not pass.
        categories: What for.
        scores: Score by category, 0 to 1; a threshold of the program for a category decides by them.
    """

    flagged: bool = False
    categories: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)


CLEAN = Verdict()


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and where it comes from.

    Attributes:
        source: Who says so.
        verdict: What, under the program's thresholds.
        cached: True if it was known from before.
        duration: Seconds that it took.
    """

    source: str
    verdict: Verdict
    cached: bool = False
    duration: float = 0.0


def under(thresholds: Mapping[str, float], said: Verdict) -> Verdict:
    """A verdict under thresholds: where there is one for a category that has a score, the score decides.

    Args:
        thresholds: Least score that flags, by category.
        said: The verdict as it was given.
    """
    over = {name for name in said.categories if name not in thresholds or name not in said.scores}
    over |= {name for name, score in said.scores.items() if name in thresholds and score >= thresholds[name]}
    if said.flagged and not said.categories and not over & set(thresholds):
        over.add(UNNAMED)
    return Verdict(bool(over), tuple(sorted(over)), said.scores)


def merged(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict of several: flagged if any is, all their categories, the highest scores."""
    flagged = False
    categories: set[str] = set()
    scores: dict[str, float] = {}
    for verdict in verdicts:
        flagged = flagged or verdict.flagged
        categories.update(verdict.categories)
        for name, score in verdict.scores.items():
            scores[name] = max(score, scores.get(name, 0.0))
    return Verdict(flagged, tuple(sorted(categories)), scores)
