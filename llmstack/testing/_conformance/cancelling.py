"""A cancellation is not swallowed, wherever it strikes."""

from __future__ import annotations

import contextlib

from llmstack.errors import PluginError
from llmstack.events import CallFinished, CallStarted
from llmstack.testing._conformance.bench import Bench
from llmstack.testing._conformance.flaw import ConformanceError
from llmstack.testing._conformance.sample import Sample
from llmstack.testing._conformance.situation import ANSWERED, DOWN, Situation
from llmstack.testing._conformance.strike import KINDS, Kind, cancelled_at
from llmstack.testing._conformance.trial import WAYS, Trial, play

__all__ = ["check"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out

_MOST = 200
"""Suspensions at which a program is cancelled at most."""


def check(bench: Bench) -> None:
    """Cancelled at every await; and interrupted in a sync program."""
    for sample in bench.samples[:1]:
        for situation in (ANSWERED, DOWN):
            for stream in (False, True) if sample.streams else (False,):
                for kind in KINDS:
                    if kind.loop in WAYS:
                        _everywhere(bench, sample, situation, kind, stream=stream)
        _interrupted(bench, sample)


def _everywhere(bench: Bench, sample: Sample, situation: Situation, kind: Kind, *, stream: bool) -> None:
    async def program() -> None:
        for n in range(1, _MOST):
            trial = bench.trial(sample, situation, kind.loop, stream=stream)
            try:
                reached, _ = await cancelled_at(n, trial.see(), kind)
            finally:
                await trial.close()
            _check_trial(trial, f"by {kind} at its await number {n}")
            if not reached:
                return

    play(kind.loop, program)


def _interrupted(bench: Bench, sample: Sample) -> None:
    trial = bench.trial(sample, Situation("Ctrl-C is pressed", _interrupt), "sync")
    with trial.closing(), contextlib.suppress(KeyboardInterrupt):
        play("sync", trial.see)
    _check_trial(trial, "by Ctrl-C")


def _interrupt(_sample: Sample, _call: object) -> None:
    raise KeyboardInterrupt


def _check_trial(trial: Trial, how: str) -> None:
    for visit in trial.outside.visits:
        if visit.swallowed:
            made = "a reply" if visit.reply is not None else f"{type(_cause(visit.error)).__name__}"
            raise ConformanceError(
                f"The layer made {made} of a cancellation ({trial}, cancelled {how}).",
                "a cancelled task must end at once: time-outs, task groups and Ctrl-C rely on it, and the call's books "
                "must say `cancelled`.",
                "catch Exception, never BaseException; clean up in `finally`, or raise again. asyncio's "
                "CancelledError, trio's Cancelled and KeyboardInterrupt are no Exceptions.",
            )
    recorder = trial.recorder
    if len(recorder.of(CallStarted)) != len(recorder.of(CallFinished)) or trial.transport.open:
        raise ConformanceError(
            f"A cancelled call did not end ({trial}, cancelled {how}).",
            "what does not end keeps its connection, and its reservation in the books, for ever.",
            "after a cancellation ask for nothing but what must be done (`run(..., shield=True)`), and raise again.",
        )


def _cause(error: BaseException | None) -> BaseException | None:
    return error.__cause__ or error if isinstance(error, PluginError) else error
