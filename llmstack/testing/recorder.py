"""An observer that remembers."""

from __future__ import annotations

from typing import TypeVar

from llmstack._core.events import CallFinished, Event
from llmstack.hookspecs import hookimpl

E = TypeVar("E", bound=Event)


class Recorder:
    """A plugin that keeps every event, for tests and demonstrations.

    Attributes:
        events: All events so far, in order.
    """

    name = "recorder"

    def __init__(self) -> None:
        """Start with no events."""
        self.events: list[Event] = []

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def finished(self) -> CallFinished:
        """The `CallFinished` of the only call so far.

        Raises:
            ValueError: If there is not exactly one.
        """
        finished = self.of(CallFinished)
        if len(finished) != 1:
            message = f"`finished` is for one call, but {len(finished)} have ended: use of(CallFinished)"
            raise ValueError(message)
        return finished[0]
