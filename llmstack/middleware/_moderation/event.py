"""What Moderation tells beside `ContentModerated`."""

from __future__ import annotations

from dataclasses import dataclass

from llmstack.events import Event
from llmstack.middleware._moderation.verdict import Subject

__all__ = ["ModerationUnavailable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationUnavailable(Event):
    """A verdict could not be had.

    Attributes:
        subject: ``"input"`` or ``"output"``.
        passed: True if it was let pass all the same (``on_error="open"``).
        error: Why. Its text may quote the provider.
        alert: The same in a sentence, for what a person should hear of.
    """

    subject: Subject
    passed: bool
    error: Exception
    alert: str
