"""Errors are typed, and pickle."""

from __future__ import annotations

import pickle

from openai import OpenAIError

from llmstack._core.secret import mask
from llmstack.errors import PluginError, StackError
from llmstack.testing._conformance.bench import Bench, Outcome
from llmstack.testing._conformance.flaw import ConformanceError
from llmstack.testing._conformance.situation import ODD, SITUATIONS

__all__ = ["check"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out


def check(bench: Bench) -> None:
    """Whatever is raised is a `StackError` or the SDK's own error, and a `StackError` pickles."""
    bare = {_key(outcome): outcome.seen.error for outcome in bench.outcomes(ODD, plugin=None)}
    for outcome in bench.outcomes((*SITUATIONS, *ODD)):
        error = outcome.seen.error
        expected = outcome.trial.sample.raises
        if error is None:
            if expected is not None and outcome.trial.situation.name == SITUATIONS[0].name:
                raise _unexpected(f"no {expected.__name__} was raised", outcome)
            continue
        if isinstance(error, PluginError):
            if error.__cause__ is not None:
                raise _failed(error, outcome)
            continue  # it gave no reply: another check's business
        if not isinstance(error, OpenAIError) and type(error) is not type(bare.get(_key(outcome))):
            raise _unexpected(f"{type(error).__name__} was raised", outcome)
        if isinstance(error, StackError):
            _check_pickles(error, outcome)


def _key(outcome: Outcome) -> tuple[int, str, str, bool]:
    trial = outcome.trial
    return id(trial.sample), trial.situation.name, trial.way, trial.stream


def _failed(error: PluginError, outcome: Outcome) -> ConformanceError:
    cause = error.__cause__
    where = ""
    trace = None if cause is None else cause.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        where = f" at {code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    return ConformanceError(
        f"The layer failed with {type(cause).__name__}{where} ({outcome.trial}): {mask(str(cause))}.",
        "programs catch the SDK's errors and llmstack's: an error of another type is a PluginError to them, which "
        "says that somebody made a mistake.",
        "raise a subclass of llmstack.errors.RefusedError (or StackError) on purpose; and expect any body: "
        "reply.body may be None, a list, or lack what it should have.",
    )


def _unexpected(what: str, outcome: Outcome) -> ConformanceError:
    return ConformanceError(
        f"{what} ({outcome.trial}).",
        "programs rely on the types of errors: the SDK's own for what the provider does, a StackError for what a "
        "plugin refuses.",
        "raise a subclass of llmstack.errors.RefusedError, and let the upstream's errors pass as they are.",
    )


def _check_pickles(error: StackError, outcome: Outcome) -> None:
    problem = ""
    try:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception as failure:  # noqa: BLE001 - that is the question
        problem = mask(f"{type(failure).__name__}: {failure}")
    else:
        if type(copy) is not type(error) or str(copy) != str(error):
            problem = "what comes back is another error"
    if problem:
        raise ConformanceError(
            f"{type(error).__name__} does not pickle: {problem} ({outcome.trial}).",
            "process pools and task queues hand errors on by pickle; one that does not pickle takes the worker with "
            "it, and hides what was wrong.",
            "define the class at the top of a module, give all arguments but the message defaults, and keep in "
            "attributes only what pickles: no lock, client, generator or lambda.",
        )
