"""Observers: whoever hears of events. What they do wrong, no call feels."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from llmstack._core.events import Event
from llmstack.background import place

logger = logging.getLogger("llmstack")


class Observers:
    """Tells all observers of an event, each shut off from the others and from the call.

    Attributes:
        failures: How often each has raised, by name.
    """

    __slots__ = ("_observers", "failures")

    def __init__(self, observers: Sequence[tuple[str, Callable[..., Any]]]) -> None:
        """Take the observers with their names, outermost first."""
        # pluggy lets an implementation leave out the argument.
        self._observers = [(name, fn, bool(inspect.signature(fn).parameters)) for name, fn in observers]
        self.failures: dict[str, int] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._observers)

    def tell(self, event: Event) -> None:
        """Tell all of them."""
        for name, observer, wants in self._observers:
            try:
                observer(event) if wants else observer()
            except Exception as error:  # noqa: BLE001 - whatever an observer does, the call must not feel it
                self.failed(name, error)

    def failed(self, name: str, error: Exception) -> None:
        """Count a failure; log the first one."""
        self.failures[name] = self.failures.get(name, 0) + 1
        if self.failures[name] == 1:
            # Neither its text nor its traceback: an observer has the provider's error at hand, which quotes the prompt.
            logger.warning(
                "observer %r failed with %s at %s; calls go on, further failures are only counted",
                name, type(error).__name__, place(error),
            )  # fmt: skip
