"""Observers that raise are isolated, and the plugin's own does not."""

from __future__ import annotations

from typing import Any

from llmstack._core.call_info import CallInfo
from llmstack._core.events import Event
from llmstack._plugins.registry import plugin_name
from llmstack.hookspecs import hookimpl
from llmstack.testing._conformance.bench import Bench
from llmstack.testing._conformance.flaw import ConformanceError
from llmstack.testing._conformance.situation import ANSWERED, BROKEN_OFF, DOWN

__all__ = ["check"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out


class _Unheard(Event):
    """An event that no plugin knows."""


class _Raising:
    name = "conformance-raising"

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        message = f"an observer failed at {type(event).__name__}"
        raise RuntimeError(message)


def check(bench: Bench) -> None:
    """Neither another observer's failure nor an event nobody knows changes anything."""
    situations = (ANSWERED, DOWN, BROKEN_OFF)
    alone = bench.outcomes(situations)
    accompanied = bench.outcomes(situations, others=[_Raising()])
    for without, beside in zip(alone, accompanied, strict=True):
        trial = beside.trial
        if (without.seen.text, type(without.seen.error)) != (beside.seen.text, type(beside.seen.error)):
            raise ConformanceError(
                f"Beside an observer that raises, the program sees {beside.seen} instead of {without.seen} ({trial}).",
                "logs and metrics must never alter a call; a plugin that calls observers itself lets them.",
                "tell events with `yield from emit(event)` only: the stack tells the observers, one by one.",
            )
        for outcome in (without, beside):
            _check_own(outcome.trial.stack, str(outcome.trial))


def _check_own(stack: Any, where: str) -> None:
    stack.engine.emit(_Unheard(call=_INFO))
    for plugin in stack.plugins.values():
        name = plugin_name(plugin)
        if name != _Raising.name and stack.observer_failures.get(name):
            raise ConformanceError(
                f"llmstack_event of {name!r} raised ({where}).",
                "the call does not feel it, but what this observer should have written is lost, and only the first "
                "failure is logged.",
                "pass over events you do not know, and expect None in every field that may be None (status, usage, "
                "error, model, cost).",
            )


_INFO = CallInfo(
    id="call_0", method="POST", path="/", endpoint="", model=None, stream=False, tenant=None, tags={}, host=""
)
