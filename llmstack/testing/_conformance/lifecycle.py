"""From registration to closing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llmstack.errors import ConfigError
from llmstack.stack import Stack
from llmstack.testing._conformance.bench import Bench
from llmstack.testing._conformance.flaw import ConformanceError
from llmstack.testing._conformance.situation import ANSWERED
from llmstack.testing._conformance.trial import WAYS, Trial, play

__all__ = ["check_closing", "check_hooks"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out


def check_hooks(make: Callable[..., Any]) -> None:
    """The stack takes the plugin, alone and beside another of its kind."""
    try:
        for stack in (Stack([make()]), Stack.ordered([make()]), Stack([make(), make()])):
            repr(stack)
            stack.explain()
    except ConfigError as error:
        raise ConformanceError(
            f"The stack does not take the plugin: {error.message}",
            "a plugin whose hooks are wrong stops the whole program when it starts.",
            "see llmstack.hookspecs: @hookimpl above each hook, plain functions with the arguments given there, "
            "llmstack_call a generator; stage, before and after as the page says.",
        ) from error


def check_closing(bench: Bench) -> None:
    """``close`` and ``aclose`` may come twice, before any call and after one, from any loop."""
    for way in WAYS:
        for used in (False, True):
            trial = bench.trial(bench.samples[0], ANSWERED, way)

            async def program(trial: Trial = trial, *, used: bool = used) -> None:
                if used:
                    await trial.see()
                try:
                    for _ in range(2):
                        await _close(trial.stack.plugins.values(), trial.way)
                finally:
                    await trial.close()

            try:
                play(way, program)
            except Exception as error:
                raise ConformanceError(
                    f"Closing twice fails with {type(error).__name__}: {error} ({way}, {'' if used else 'un'}used).",
                    "stacks are shared by clients, and closed by each `with` block and by the end of the program.",
                    "remember that it is closed; close and aclose do nothing then. Both must work before the first "
                    "call, when nothing is open yet.",
                ) from error


async def _close(plugins: Any, way: str) -> None:
    for plugin in plugins:
        close, aclose = getattr(plugin, "close", None), getattr(plugin, "aclose", None)
        chosen = close if way == "sync" else aclose or close
        closing = chosen() if chosen is not None else None
        if inspect.isawaitable(closing):
            await closing
