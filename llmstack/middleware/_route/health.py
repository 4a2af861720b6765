"""Health: what is known of a target, and the state that it is in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

from llmstack.middleware._route.kind import Kind
from llmstack.middleware._route.rate import Allowance
from llmstack.middleware._route.target import Target

__all__ = ["Health", "State", "TargetStatus", "Ticket"]

State = Literal["well", "cooling", "due", "probing"]
"""``well`` · ``cooling`` (left alone for its failures) · ``due`` (that is over: the next call is a probe) · ``probing``
(a call is under way that shows whether it is well again)."""

_SMOOTHING: Final = 0.3
"""Weight of the newest latency in the average: the last five or six calls make nearly all of it."""

_HALF_LIFE: Final = 60.0
"""Seconds in which a latency loses half its weight: a target that was slow once is asked again some time."""


_MANY: Final = 8
_LONG: Final = 1.0
"""Seconds. So many abandoned requests that go on for so long: each of them holds a thread and a connection."""


@dataclass(eq=False, slots=True)
class Health:
    """How a target is doing. Changed under the board's lock only.

    Attributes:
        target: The target.
        in_flight: Calls that it has now.
        failures: Failures in a row.
        answered: Calls that it has answered.
        failed: Calls that it has failed.
        latency: Seconds to an answer, averaged; None if it has given none.
        latency_at: When the last one came.
        cooling_until: Until when it is left alone; None if it is well.
        reason: Why.
        probe: The call under way that shows whether it is well again.
        probe_until: Until when that may take.
        allowance: What is left of its rate limit, if it says so.
        largest: The largest remainders that it has told.
        turn: Its standing in the rotation.
        used: Number of the last call that it got.
        abandoned: Requests under way whose answers nobody waits for any more, since others were quicker: where they
            run in threads they cannot be cancelled.
    """

    target: Target
    in_flight: int = 0
    failures: int = 0
    answered: int = 0
    failed: int = 0
    latency: float | None = None
    latency_at: float = 0.0
    cooling_until: float | None = None
    reason: Kind | None = None
    probe: Ticket | None = None
    probe_until: float = 0.0
    allowance: Allowance | None = None
    largest: dict[str, float] = field(default_factory=dict[str, float])
    turn: float = 0.0
    used: int = 0
    abandoned: dict[Ticket, float] = field(default_factory=dict["Ticket", float])

    def state(self, now: float) -> State:
        """The state that it is in."""
        if self.cooling_until is None:
            return "well"
        if now < self.cooling_until:
            return "cooling"
        return "due" if self.probe is None or now >= self.probe_until else "probing"

    def is_open(self, now: float) -> bool:
        """Whether a call may go there."""
        return self.state(now) in ("well", "due")

    def wait(self, now: float) -> float:
        """Seconds until a call may go there."""
        if self.is_open(now) or self.cooling_until is None:
            return 0.0
        return max(self.cooling_until, self.probe_until if self.probe is not None else 0.0) - now

    def measure(self, latency: float, now: float) -> None:
        """It has answered."""
        known = self.latency
        self.latency = latency if known is None else known + _SMOOTHING * (latency - known)
        self.latency_at = now

    def abandon(self, ticket: Ticket, now: float) -> bool:
        """A call has been answered by a quicker one: whether too many wait here for an answer that does not come."""
        waited = now - ticket.at
        if self.latency is None or waited > self.latency:
            self.measure(waited, now)  # it takes longer than that
        self.abandoned[ticket] = now
        return sum(now - since >= _LONG for since in self.abandoned.values()) >= _MANY

    def expected(self, now: float) -> float:
        """Seconds that an answer would take, the calls under way considered; 0 if nothing is known."""
        if self.latency is None:
            return 0.0
        return self.latency * math.pow(0.5, (now - self.latency_at) / _HALF_LIFE) * (self.in_flight + 1)

    def left(self, now: float) -> float:
        """The share of its rate limit that is left, 1 if it does not say."""
        return 1.0 if self.allowance is None else self.allowance.left(now)

    def status(self, now: float) -> TargetStatus:
        """What may be told of it."""
        return TargetStatus(
            state=self.state(now),
            in_flight=self.in_flight,
            answered=self.answered,
            failed=self.failed,
            failures=self.failures,
            latency=self.latency,
            cooldown=self.wait(now),
            reason=self.reason,
            remaining=None if self.allowance is None else self.allowance.left(now),
        )


@dataclass(eq=False, slots=True)
class Ticket:
    """A call that a target has.

    Attributes:
        target: The target, as this call's route has it.
        health: The target's.
        at: Since when, seconds of the clock.
        trial: True if the target was left alone until then.
        era: The process that it belongs to: calls of before a fork are the parent's.
        held: False once the call has left.
    """

    target: Target
    health: Health
    at: float
    trial: bool
    era: int
    held: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStatus:
    """How a target is doing, as `Route.status` tells it.

    Attributes:
        state: ``"well"``, ``"cooling"``, ``"due"`` (for a probe) or ``"probing"``.
        in_flight: Calls that it has now.
        answered: Calls that it has answered.
        failed: Calls that it has failed.
        failures: Failures in a row.
        latency: Seconds to an answer, a moving average; None if it has given none.
        cooldown: Seconds for which it is left alone.
        reason: Why it is left alone, the kind of its last failure; None if it is well.
        remaining: Share of its rate limit that is left, 0 to 1; None if it does not say.
    """

    state: State
    in_flight: int
    answered: int
    failed: int
    failures: int
    latency: float | None
    cooldown: float
    reason: Kind | None
    remaining: float | None
