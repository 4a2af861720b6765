"""Nothing that belongs to a thread, task or context is held across the flow."""

from __future__ import annotations

import contextlib
import threading
from contextvars import Context, copy_context
from typing import Any

import anyio
from openai import OpenAIError

from llmstack.errors import PluginError
from llmstack.testing._conformance.bench import Bench
from llmstack.testing._conformance.flaw import ConformanceError
from llmstack.testing._conformance.sample import ANOTHER, Sample
from llmstack.testing._conformance.situation import ANSWERED
from llmstack.testing._conformance.trial import WAYS, Trial, at_once, play, text_of

__all__ = ["check"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out

_PATIENCE = 5.0
"""Seconds after which a call that waits for another one is taken to wait for a lock."""

_WHY = (
    "between its `next` and what follows a flow is suspended: the program reads a stream, perhaps in another thread "
    "or task, and makes other calls meanwhile."
)


def check(bench: Bench) -> None:
    """The second half of a flow may run anywhere, and nothing waits for it."""
    for sample in bench.samples:
        if sample.streams and sample.raises is None:
            _check_threads(bench, sample)
            _check_overlap(bench, sample)
            for way in WAYS[1:]:
                _check_tasks(bench, sample, way)


def _differs(bench: Bench, sample: Sample, way: str, pieces: list[Any], error: BaseException | None) -> bool:
    """Whether something else was seen than a program sees that does not go elsewhere."""
    seen = play(way, bench.trial(sample, ANSWERED, way, stream=True).seen)
    return (text_of(pieces), type(error)) != (seen.text, type(seen.error))


def _check_threads(bench: Bench, sample: Sample) -> None:
    trial = bench.trial(sample, ANSWERED, "sync", stream=True)
    opened: list[Any] = []
    pieces: list[Any] = []
    with trial.closing():
        context, bare = copy_context(), copy_context()
        left = _changes(bare, bench.trial(sample, ANSWERED, "sync", stream=True, plugin=None))
        error = _elsewhere(context, lambda: opened.append(at_once(trial.ask())))
        found = _changed(context) - left
        if opened:
            error = error or _elsewhere(Context(), lambda: at_once(trial.read(opened[0], pieces)))
    if found:
        names = ", ".join(sorted(found))
        raise _held(f"The layer leaves context variables set while it is suspended: {names}", trial)
    if _differs(bench, sample, "sync", pieces, error):
        raise _held(f"In another thread the rest of the flow {_went(error)}", trial)


def _check_tasks(bench: Bench, sample: Sample, way: str) -> None:
    trial = bench.trial(sample, ANSWERED, way, stream=True)
    opened: list[Any] = []
    pieces: list[Any] = []

    async def opening() -> None:
        opened.append(await trial.ask())

    async def program() -> None:
        try:
            for part in (opening, lambda: trial.read(opened[0], pieces)):
                async with anyio.create_task_group() as group:
                    group.start_soon(part)
        finally:
            await trial.close()

    error: BaseException | None = None
    try:
        play(way, program)
    except Exception as raised:  # noqa: BLE001 - that is the question
        error = raised
        while isinstance(error, BaseExceptionGroup) and error.exceptions:
            error = error.exceptions[0]
    if _differs(bench, sample, way, pieces, error):
        raise _held(f"In another task the rest of the flow {_went(error)}", trial)


def _check_overlap(bench: Bench, sample: Sample) -> None:
    trial = bench.trial(sample, ANSWERED, "sync", stream=True)
    waits = False
    pieces: list[Any] = []
    error: BaseException | None = None
    with trial.closing(), contextlib.suppress(OpenAIError):  # whether calls may raise this is judged elsewhere
        stream = at_once(trial.ask())
        other = threading.Thread(target=_ask_another, args=(trial,), name="conformance-other", daemon=True)
        other.start()
        other.join(_PATIENCE)
        waits = other.is_alive()
        try:
            at_once(trial.read(stream, pieces))
        except OpenAIError as raised:
            error = raised
        finally:
            other.join(_PATIENCE)
    if waits:
        raise _held("While one call's stream is open, another call waits: the layer holds a lock", trial)
    if isinstance(error, PluginError) and _differs(bench, sample, "sync", pieces, error):
        raise _held(f"When another call was made meanwhile, the rest of the flow {_went(error)}", trial)


def _ask_another(trial: Trial) -> None:
    with contextlib.suppress(OpenAIError):
        at_once(trial.ask(ANOTHER, stream=False))


def _elsewhere(context: Context, function: Any) -> BaseException | None:
    """Run a function in a thread of its own, in a context; its error."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            context.run(function)
        except BaseException as error:  # noqa: BLE001 - handed over
            failed.append(error)

    thread = threading.Thread(target=run, name="conformance-half", daemon=True)
    thread.start()
    thread.join()
    return failed[0] if failed else None


def _changed(context: Context) -> set[str]:
    """The variables that differ from those here."""
    here = copy_context()
    return {variable.name for variable in context if variable not in here or here[variable] is not context[variable]}


def _changes(context: Context, trial: Trial) -> set[str]:
    """What a stack without the plugin changes."""
    with trial.closing():
        _elsewhere(context, lambda: at_once(trial.read(at_once(trial.ask()), [])))
    return _changed(context)


def _went(error: BaseException | None) -> str:
    if error is None:
        return "gives another answer"
    cause = error.__cause__ or error
    return f"fails with {type(cause).__name__}: {cause}"


def _held(what: str, trial: Trial) -> ConformanceError:
    return ConformanceError(
        f"{what} ({trial}).",
        _WHY,
        "finish with locks, spans, scopes and context variables before `yield from next(call)`, and take them anew "
        "after it; keep in local variables, not on self, what you need on both sides (a start time, an open handle).",
    )
