"""What a call through the plugin costs: told, never judged."""

from __future__ import annotations

from statistics import median
from time import perf_counter_ns

from llmstack.testing._conformance.bench import Bench
from llmstack.testing._conformance.situation import ANSWERED
from llmstack.testing._conformance.trial import Trial, at_once

__all__ = ["cost_per_call"]

_CALLS = 100


def cost_per_call(bench: Bench) -> tuple[float, float]:
    """The time that a call takes with the plugin and without it, in microseconds: the median of 100 calls each.

    They are interleaved, so that what else the machine does strikes both.
    """
    sample = bench.samples[0]
    tried = bench.trial(sample, ANSWERED, "sync")
    bare = bench.trial(sample, ANSWERED, "sync", plugin=None)
    spent: tuple[list[int], list[int]] = ([], [])
    with tried.closing(), bare.closing():
        for _ in range(_CALLS):
            for trial, times in zip((tried, bare), spent, strict=True):
                times.append(_time(trial))
    return median(spent[0]) / 1000, median(spent[1]) / 1000


def _time(trial: Trial) -> int:
    start = perf_counter_ns()
    at_once(trial.see())
    return perf_counter_ns() - start
