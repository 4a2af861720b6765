"""Exactly one reply, and ``next`` as declared."""

from __future__ import annotations

from typing import Literal

from llmstack._core.reply import Reply
from llmstack.errors import CommittedError, PluginError
from llmstack.events import AttemptFinished, AttemptStarted, CallFinished, CallStarted
from llmstack.testing._conformance.around import Visit
from llmstack.testing._conformance.bench import Bench, Outcome
from llmstack.testing._conformance.flaw import ConformanceError
from llmstack.testing._conformance.situation import ANSWERED, BROKEN_OFF, SITUATIONS, STOPPED

__all__ = ["Declared", "check_next", "check_reply"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out

Declared = Literal["never", "once", "many"]
"""How often a plugin says it calls ``next`` for one call."""


def check_reply(bench: Bench) -> None:
    """Each call ends once, with a reply or an error; nothing is left of it."""
    for outcome in bench.outcomes(SITUATIONS):
        trial = outcome.trial
        for visit in trial.outside.visits:
            error = visit.error
            if error is not None and isinstance(error, PluginError) and error.__cause__ is None:
                raise ConformanceError(
                    f"The layer gave no reply: {error.message} ({trial}).",
                    "a program waits for an answer of the SDK's own types; None, or a bare JSON object, is none.",
                    "end every path of llmstack_call with `return reply`, a llmstack.Reply, or raise an error.",
                )
            if visit.ends != 1 or (visit.reply is None) == (error is None):
                raise _unfinished(f"the flow ended {visit.ends} times", outcome)
        recorder = trial.recorder
        for started, finished in ((CallStarted, CallFinished), (AttemptStarted, AttemptFinished)):
            counts = len(recorder.of(started)), len(recorder.of(finished))
            if counts[0] != counts[1]:
                raise _unfinished(f"{counts[0]} {started.__name__} but {counts[1]} {finished.__name__}", outcome)
        if trial.transport.open:
            raise _unfinished(f"{trial.transport.open} stream(s) left open", outcome)


def _unfinished(what: str, outcome: Outcome) -> ConformanceError:
    return ConformanceError(
        f"A call did not end as it should: {what} ({outcome.trial}).",
        "what does not end keeps its connection, and its reservation in the books, for ever.",
        "call next only as `yield from next(call)`, and run it to its end: never drop it, never drive it by hand.",
    )


def check_next(bench: Bench, declared: Declared) -> None:
    """The plugin passes calls on as often as it says."""
    for outcome in bench.outcomes((ANSWERED, STOPPED, BROKEN_OFF)):
        for visit in outcome.trial.outside.visits:
            _check_visit(visit, outcome, declared)


def _check_visit(visit: Visit, outcome: Outcome, declared: Declared) -> None:
    trial, refused = outcome.trial, isinstance(visit.error, CommittedError)
    if refused or isinstance(outcome.seen.error, CommittedError):
        raise ConformanceError(
            f"The layer called next again although content had reached the program ({trial}).",
            "what a program has seen cannot be taken back: the second request is refused, and its error hides the "
            "first one's.",
            "look at call.committed before every further next, and let the error or reply pass if it is True.",
        )
    wrong = {
        "never": visit.nexts > 0,
        "once": visit.nexts > 1 or (visit.nexts == 0 and isinstance(visit.reply, Reply)),
        "many": False,
    }[declared]
    if wrong:
        raise ConformanceError(
            f"The layer called next {visit.nexts} time(s), but declares {declared!r} ({trial}).",
            "each next is a request that somebody pays for, and none is an answer that no provider gave: who puts a "
            "plugin into a stack relies on what it says of itself.",
            'call next as declared, or declare what is so: next_is = "never", "once" or "many" in the test class.',
        )
