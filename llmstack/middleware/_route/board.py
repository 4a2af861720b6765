"""Board: how all targets of a route are doing.

Shared by all threads, tasks and event loops; each process has its own.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from cachetools import LRUCache

from llmstack.middleware._route.health import Health, TargetStatus, Ticket
from llmstack.middleware._route.kind import Kind
from llmstack.middleware._route.lock import LOCK
from llmstack.middleware._route.order import Strategy, by_affinity, by_strategy
from llmstack.middleware._route.rate import allowance
from llmstack.middleware._route.target import Target

__all__ = ["Board"]

_MOST: Final = 1024
"""Targets remembered; a function that chooses may name any number."""

_AT_ONCE: Final = frozenset({"rate_limit", "quota", "auth", "not_found", "circuit"})
"""Failures that the next call would have as well."""

_COUNTED: Final = frozenset({"server", "timeout", "connection"})
"""Failures that may be a bad moment. All others are the call's, not the target's."""


class Board:
    """What is known of the targets.

    Args:
        cooldown: Seconds for which a target that fails is left alone, and that a probe may take.
        failures: Failures in a row after which it is.
        strategy: Which target is asked first.
        random: Randomness.
    """

    def __init__(self, cooldown: float, failures: int, strategy: Strategy, random: Random) -> None:
        """Begin with nothing known."""
        self._cooldown = cooldown
        self._failures = failures
        self._strategy: Strategy = strategy
        self._random = random
        self._healths: LRUCache[str, Health] = LRUCache(_MOST)
        self._calls = 0
        self._era = 0
        _boards.add(self)

    def line_up(self, targets: Sequence[Target], now: float, session: str | None) -> list[Target]:
        """The order in which a call asks targets.

        Those that are left alone come last, the one first that is so for the shortest time: when nothing else is left
        a call may as well try them.

        Args:
            targets: As they were written.
            now: Seconds of the clock.
            session: What the call belongs to, so that it keeps to a target; None if to nothing.
        """
        with LOCK:
            groups: dict[int, list[Health]] = {}
            closed: list[Health] = []
            for health in map(self._health, targets):
                if health.is_open(now):
                    groups.setdefault(health.target.priority, []).append(health)
                else:
                    closed.append(health)
            order: list[Health] = []
            for priority in sorted(groups):
                group = groups[priority]
                order += by_affinity(session, group) if session else self._by_strategy(group, now, first=not order)
            order += sorted(closed, key=lambda health: health.wait(now))
            return [health.target for health in order]

    def _by_strategy(self, group: list[Health], now: float, *, first: bool) -> list[Health]:
        # Only of those that are asked first one takes its turn.
        if self._strategy == "round_robin" and not first:
            return sorted(group, key=lambda health: -health.turn)
        return by_strategy(self._strategy, group, now, self._random)

    def enter(self, order: Sequence[Target], now: float) -> Ticket:
        """Give a call to the first of some targets that is not left alone; else to the first that will not be."""
        with LOCK:
            healths = [self._health(target) for target in order]
            health = next((health for health in healths if health.is_open(now)), None)
            health = health or min(healths, key=lambda health: health.wait(now))
            self._calls += 1
            health.used = self._calls
            health.in_flight += 1
            ticket = Ticket(health.target, health, now, health.cooling_until is not None, self._era)
            if health.state(now) == "due":
                health.probe, health.probe_until = ticket, now + self._cooldown
            return ticket

    def has_open(self, targets: Sequence[Target], now: float) -> bool:
        """Whether one of them is not left alone."""
        with LOCK:
            return any(self._health(target).is_open(now) for target in targets)

    # The end of a call ------------------------------------------------------------------------------------------

    def answered(self, ticket: Ticket, now: float, latency: float, headers: Mapping[str, str]) -> bool:
        """A target has answered.

        Args:
            ticket: The call's.
            now: Seconds of the clock.
            latency: Seconds that it took.
            headers: Of the answer.

        Returns:
            True if it was left alone until then, and is well now.
        """
        with LOCK:
            if not self._leave(ticket):
                return False
            health = ticket.health
            health.answered += 1
            health.measure(latency, now)
            self._read(health, headers, now)
            if health.cooling_until is None:
                health.failures = 0
            # An answer to what was asked before the trouble began says nothing.
            elif ticket.trial:
                health.failures, health.cooling_until, health.reason = 0, None, None
                return True
            return False

    def failed(
        self, ticket: Ticket, now: float, kind: Kind | None, hint: float | None, headers: Mapping[str, str]
    ) -> float:
        """A target has failed.

        Args:
            ticket: The call's.
            now: Seconds of the clock.
            kind: What kind of failure; None if it is no failure of the target.
            hint: Seconds that the server asks to wait, or a circuit stays open; None if nothing says.
            headers: Of its answer, if it gave one.

        Returns:
            Seconds for which it is left alone from now; 0 if it is not, or was already.
        """
        with LOCK:
            if not self._leave(ticket):
                return 0.0
            health = ticket.health
            self._read(health, headers, now)
            if kind not in _AT_ONCE and kind not in _COUNTED:
                return 0.0
            health.failed += 1
            health.failures += 1
            if health.cooling_until is not None and not ticket.trial:
                return 0.0
            if kind in _COUNTED and health.failures < self._failures and not ticket.trial:
                return 0.0
            seconds = self._cooldown if hint is None else hint
            health.cooling_until = max(health.cooling_until or 0.0, now + seconds)
            health.reason = kind
            return seconds

    def outpaced(self, ticket: Ticket, now: float) -> float:
        """Another target has answered the call of a ticket, and was quicker.

        Args:
            ticket: The slower one's.
            now: Seconds of the clock.

        Returns:
            Seconds for which the slower one is left alone from now; 0 if it is not, or was already.
        """
        with LOCK:
            health = ticket.health
            if not ticket.held or not health.abandon(ticket, now):
                return 0.0
            if health.cooling_until is not None and not ticket.trial:
                return 0.0
            health.cooling_until, health.reason = now + self._cooldown, "timeout"
            return self._cooldown

    def dropped(self, ticket: Ticket) -> None:
        """A call has ended without anything being known of the target. Does nothing if it has left before."""
        with LOCK:
            self._leave(ticket)

    def _leave(self, ticket: Ticket) -> bool:
        if not ticket.held:
            return False
        ticket.held = False
        health = ticket.health
        health.abandoned.pop(ticket, None)
        if ticket.era == self._era:
            health.in_flight -= 1
        if health.probe is ticket:
            health.probe = None
        return True

    def _read(self, health: Health, headers: Mapping[str, str], now: float) -> None:
        found, health.largest = allowance(headers, now, health.largest)
        health.allowance = found or health.allowance

    # All of them ------------------------------------------------------------------------------------------------

    def status(self, targets: Sequence[Target], now: float) -> dict[str, TargetStatus]:
        """How these are doing, and all others that were asked."""
        with LOCK:
            for target in targets:
                self._health(target)
            return {name: health.status(now) for name, health in self._healths.items()}

    def _health(self, target: Target) -> Health:
        health = self._healths.get(target.name)
        if health is None:
            health = self._healths[target.name] = Health(target)
        elif health.target is not target:
            health.target = target
        return health

    def forked(self) -> None:
        """This is another process now: what is under way is the parent's."""
        self._era += 1
        for health in self._healths.values():
            health.in_flight, health.probe = 0, None
            health.abandoned.clear()


_boards: weakref.WeakSet[Board] = weakref.WeakSet()


def _in_child() -> None:
    for board in list(_boards):
        board.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
