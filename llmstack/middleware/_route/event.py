"""What Route tells."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmstack.events import Event
from llmstack.middleware._route.kind import Kind

__all__ = ["HopAnswered", "HopFailed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HopFailed(Event):
    """A target did not answer. ``call`` is the call as it was sent there.

    Attributes:
        target: The target, such as ``"azure/gpt-5"``.
        number: Which target of this call, from 1.
        kind: What kind of failure; None if it would fail anywhere.
        error: The error. Its text may quote the provider.
        duration: Seconds until it failed, retries included.
        cooldown: Seconds for which it is left alone now; 0 if it is not.
        alert: The same in a sentence, if it is left alone; else empty.
    """

    target: str
    number: int
    kind: Kind | None
    error: BaseException | None = field(default=None, repr=False)
    duration: float = 0.0
    cooldown: float = 0.0
    alert: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HopAnswered(Event):
    """A target has answered. ``call`` is the call as it was sent there.

    Attributes:
        target: The target, such as ``"azure/gpt-5"``.
        number: Which target of this call, from 1.
        latency: Seconds until the answer, of a stream until its first content; retries included.
        hedged: True if another target was asked at the same time, and was slower.
        recovered: True if the target had been left alone for its failures, and is back by this answer.
    """

    target: str
    number: int
    latency: float
    hedged: bool = False
    recovered: bool = False
