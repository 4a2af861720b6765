"""The events that observers hear (`llmstack_event`), for plugins and programs."""

from llmstack._core.events import (
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    CallStarted,
    Event,
    Outcome,
    RetryScheduled,
)

__all__ = [
    "AttemptFinished",
    "AttemptStarted",
    "CallFinished",
    "CallStarted",
    "Event",
    "Outcome",
    "RetryScheduled",
]
