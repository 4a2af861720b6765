"""Sync equals async equals stream."""

from __future__ import annotations

import json
from typing import Any

from llmstack.errors import CommittedError
from llmstack.testing._conformance.bench import Bench, Outcome
from llmstack.testing._conformance.flaw import ConformanceError
from llmstack.testing._conformance.situation import SITUATIONS

__all__ = ["check"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out


def check(bench: Bench) -> None:
    """A program sees the same, whatever client it has and whether it streams."""
    plain: dict[tuple[int, str], Outcome] = {}
    first: dict[tuple[int, str, bool], Outcome] = {}
    for outcome in bench.outcomes(SITUATIONS):
        trial = outcome.trial
        if any(isinstance(visit.error, CommittedError) for visit in trial.outside.visits):
            continue  # a second next after content has been delivered: another check's business
        about = (id(trial.sample), trial.situation.name)
        _same_for_all_clients(first.setdefault((*about, trial.stream), outcome), outcome)
        if not trial.stream:
            plain.setdefault(about, outcome)
        elif about in plain:
            _same_for_a_stream(plain[about], outcome)


def _same_for_all_clients(one: Outcome, other: Outcome) -> None:
    for what, of in (("the program sees", _seen), ("is sent", _sent), ("is told to observers", _told)):
        if of(one) != of(other):
            raise ConformanceError(
                f"What {what} differs: {_where(one, what)}, but {_where(other, what)}.",
                "one body serves sync and async programs; a program that moves from one client to the other must not "
                "find another plugin there.",
                "do I/O with llmstack.effects only (`run(sync_fn, async_fn)` with two functions that do the same), "
                "and decide nothing by the kind of client, loop or thread.",
            )


def _same_for_a_stream(plain: Outcome, streamed: Outcome) -> None:
    failed = plain.seen.error is not None or streamed.seen.error is not None
    for what, of in (("the program sees", _error_seen if failed else _seen), ("is sent", _sent)):
        if of(plain) != of(streamed):
            raise ConformanceError(
                f"What {what} differs when it is streamed: {_where(plain, what)}, but {_where(streamed, what)}.",
                "`yield from next(call)` gives the complete reply in all modes, so that a plugin need not know of "
                "streaming; whoever turns on stream=True must not get another answer, or pay for other requests.",
                "do not look at call.stream; write what follows `next` as if streaming did not exist. What changes "
                "the text of a stream is a filter (call.with_filter), and changes the reply as well.",
            )


def _seen(outcome: Outcome) -> Any:
    return outcome.seen.text, type(outcome.seen.error)


def _error_seen(outcome: Outcome) -> Any:
    return type(outcome.seen.error)


def _sent(outcome: Outcome) -> Any:
    """The bodies sent, in no order: those of parallel branches have none."""
    sent = [(call.endpoint, _body(call.params)) for call in outcome.trial.transport.calls]
    return sorted(sent)


def _body(params: Any) -> str:
    streaming = ("stream", "stream_options")
    return json.dumps({k: v for k, v in params.items() if k not in streaming}, sort_keys=True, default=str)


def _told(outcome: Outcome) -> Any:
    """The kinds of events. Of a call that fails they are a matter of time: what else is under way is cancelled."""
    if outcome.seen.error is not None:
        return []
    return sorted(type(event).__name__ for event in outcome.trial.recorder.events)


def _where(outcome: Outcome, what: str) -> str:
    if what == "the program sees":
        found = str(outcome.seen)
    elif what == "is sent":
        found = f"{len(outcome.trial.transport.calls)} request(s)"
    else:
        found = ", ".join(_told(outcome))
    return f"{found} for a {outcome.trial}"
