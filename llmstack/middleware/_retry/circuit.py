"""The circuit breaker: a service that is down is left alone for a while, and calls to it fail at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from cachetools import LRUCache

from llmstack import Seconds
from llmstack.middleware._retry.lock import LOCK

_MOST = 1024
"""Circuits kept. One that was dropped is closed when it is needed again."""

_SAMPLES = 1000
"""Outcomes kept for each circuit, the newest."""


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """When to stop asking a service, and for how long.

    Each host and model has a circuit. *Closed*: requests pass and their outcomes are counted. When of the requests in
    the last `window` seconds, at least `min_calls`, a share of `failure_ratio` has failed, the circuit is *open*: calls
    are refused with `CircuitOpenError` for `open_for` seconds. Then it is *half-open*: one request passes as a trial;
    its success closes the circuit, its failure opens it again. Failures are connection errors, time-outs, 5xx and
    unreadable answers, not what the caller did wrong or too often (4xx).

    Source: M. Nygard, "Release It!", 2nd edition (2018), chapter 5.

    Args:
        failure_ratio: Share of failures, more than 0 and at most 1.
        window: Seconds looked back.
        min_calls: Requests in the window below which nothing is concluded.
        open_for: Seconds until a trial; also how long a trial may take before another one is let through.

    Raises:
        ValueError: If a number is out of its range.
    """

    failure_ratio: float = 0.5
    window: Seconds = 60.0
    min_calls: int = 10
    open_for: Seconds = 30.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 < self.failure_ratio <= 1:
            raise ValueError(f"failure_ratio must be more than 0 and at most 1, not {self.failure_ratio}")
        for name in ("window", "min_calls", "open_for"):
            if not getattr(self, name) > 0:
                raise ValueError(f"the circuit breaker's {name} must be greater than 0, not {getattr(self, name)}")


@dataclass(slots=True)
class _Circuit:
    outcomes: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    failures: int = 0
    open_until: float | None = None
    trial: object = None
    trial_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A circuit has opened or closed.

    Attributes:
        opened: True if it opened.
        failures: Failures in the window that opened it.
        calls: Requests in that window.
    """

    opened: bool
    failures: int = 0
    calls: int = 0


class Circuits:
    """The circuits of one breaker. May be used by any number of threads."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        """Begin with all circuits closed."""
        self._breaker = breaker
        self._circuits: LRUCache[Hashable, _Circuit] = LRUCache(_MOST)

    def __len__(self) -> int:
        """How many circuits there are."""
        return len(self._circuits)

    def blocked(self, key: Hashable, now: float) -> float:
        """Seconds until a request may pass; 0 if one may now."""
        with LOCK:
            circuit = self._circuits.get(key)
            return 0.0 if circuit is None else _blocked(circuit, now)

    def enter(self, key: Hashable, now: float, ticket: object) -> float:
        """A request wants to pass.

        Args:
            key: Whose circuit.
            now: Seconds of a monotonic clock.
            ticket: Stands for the request until `leave`; through a half-open circuit it passes as the trial.

        Returns:
            0 if it may pass, else the seconds until one may.
        """
        with LOCK:
            circuit = self._circuits.get(key)
            if circuit is None or circuit.open_until is None:
                return 0.0
            wait = _blocked(circuit, now)
            if not wait:
                circuit.trial, circuit.trial_until = ticket, now + self._breaker.open_for
            return wait

    def leave(self, key: Hashable, now: float, ticket: object, *, failed: bool | None) -> Change | None:
        """A request that passed has ended.

        Args:
            key: Whose circuit.
            now: Seconds of a monotonic clock.
            ticket: As given to `enter`.
            failed: Whether it failed; None if that is not known, as after a cancellation.

        Returns:
            What has changed by that; None if nothing has.
        """
        with LOCK:
            circuit = self._circuits.get(key)
            if circuit is None:
                if failed is None:
                    return None
                circuit = self._circuits[key] = _Circuit()
            if circuit.open_until is not None:
                return self._after_trial(circuit, now, failed) if circuit.trial is ticket else None
            return None if failed is None else self._count(circuit, now, failed=failed)

    def _after_trial(self, circuit: _Circuit, now: float, failed: bool | None) -> Change | None:  # noqa: FBT001
        circuit.trial = None
        if failed is None:
            return None  # the next one is the trial
        if failed:
            circuit.open_until = now + self._breaker.open_for
            return Change(opened=True, failures=1, calls=1)
        circuit.open_until = None
        circuit.outcomes.clear()
        circuit.failures = 0
        return Change(opened=False)

    def _count(self, circuit: _Circuit, now: float, *, failed: bool) -> Change | None:
        outcomes = circuit.outcomes
        if len(outcomes) == _SAMPLES:
            circuit.failures -= outcomes.popleft()[1]
        outcomes.append((now, failed))
        circuit.failures += failed
        while outcomes and outcomes[0][0] <= now - self._breaker.window:
            circuit.failures -= outcomes.popleft()[1]
        calls, failures = len(outcomes), circuit.failures
        if not failed or calls < self._breaker.min_calls or failures < calls * self._breaker.failure_ratio:
            return None
        circuit.open_until = now + self._breaker.open_for
        circuit.trial = None
        return Change(opened=True, failures=failures, calls=calls)


def _blocked(circuit: _Circuit, now: float) -> float:
    if circuit.open_until is None:
        return 0.0
    until = circuit.open_until if circuit.trial is None else circuit.trial_until
    return max(0.0, until - now)
