"""The events that observers hear (`llmstack_event`), for plugins and programs."""

from llmstack._core.events import (
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    CallStarted,
    CircuitClosed,
    CircuitOpened,
    ContentModerated,
    Event,
    IssuesFound,
    Outcome,
    RetryScheduled,
    RetryStopped,
)

__all__ = [
    "AttemptFinished",
    "AttemptStarted",
    "CallFinished",
    "CallStarted",
    "CircuitClosed",
    "CircuitOpened",
    "ContentModerated",
    "Event",
    "IssuesFound",
    "Outcome",
    "RetryScheduled",
    "RetryStopped",
]
