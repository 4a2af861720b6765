"""Single flight: of the calls under way that ask the same, one asks and the others wait for its answer.

Law of this file: a flight that is in the table has a leader. Whoever leads leaves, with an answer (`settle`), without
one (`leave`: exactly one of those who wait leads now) or with one that is nobody else's (`dissolve`: each asks itself).
The table says who is what; a future only wakes.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import anyio

from llmstack.effects import Flow, run
from llmstack.middleware._cache.entry import Answer
from llmstack.middleware._cache.lock import LOCK

__all__ = ["Flights", "Party", "Role", "arrive"]


class Role(Enum):
    """What a call does about a question that others may be asking."""

    LEAD = "lead"
    """It asks, for all."""

    WAIT = "wait"
    """It waits for who asks."""

    ALONE = "alone"
    """It asks, for itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """A call, as far as it matters to others who wait for it.

    Attributes:
        thread: The thread it came in.
        task: Its task; None in a sync program.
        streams: True if it is streamed: it ends when its program has read all of it.
        woken: Set when there is something to know: an answer, or a role.
    """

    thread: int
    task: int | None
    streams: bool
    woken: Future[Answer | Role] = field(default_factory=Future)

    def can_wait_for(self, leader: Party) -> bool:
        """False if the leader could not go on while this one waits: it needs this thread, or this very task."""
        if self.thread != leader.thread:
            return True
        return self.task is not None and self.task != leader.task


def arrive(*, streams: bool) -> Flow[Party]:
    """The call that is under way here.

    Args:
        streams: Whether it is streamed.
    """
    task = yield from run(_no_task, _this_task)
    return Party(threading.get_ident(), task, streams)


def _no_task() -> int | None:
    return None


async def _this_task() -> int | None:
    return anyio.get_current_task().id


@dataclass(slots=True, eq=False)
class _Flight:
    leaders: list[Party]
    """The last one is waited for; the others have been overtaken, and may still bring the answer."""
    waiting: list[Party] = field(default_factory=list)

    def led_by(self, party: Party) -> list[Party]:
        """Let a party lead; returns those who cannot wait for it."""
        self.leaders.append(party)
        stuck = [other for other in self.waiting if not other.can_wait_for(party)]
        self.waiting = [other for other in self.waiting if other not in stuck]
        return stuck


class Flights:
    """The questions that are being asked now, in this process: by any number of threads and event loops."""

    def __init__(self) -> None:
        """Nobody asks anything yet."""
        self._table: dict[str, _Flight] = {}
        self._process: Final = [os.getpid()]

    def __len__(self) -> int:
        """How many questions are being asked."""
        return len(self._table)

    def join(self, key: str, party: Party) -> Role:
        """Ask, or wait for who asks.

        Args:
            key: The question.
            party: Who wants to know.
        """
        fresh = _Flight([party])
        with LOCK:
            self._forget_the_parents()
            flight = self._table.setdefault(key, fresh)
            if flight is fresh:
                return Role.LEAD
            if not party.can_wait_for(flight.leaders[-1]):
                return Role.ALONE
            flight.waiting.append(party)
            return Role.WAIT

    def leader(self, key: str) -> Party | None:
        """Who is waited for now; None if nobody asks any more."""
        with LOCK:
            flight = self._table.get(key)
            return None if flight is None else flight.leaders[-1]

    def settle(self, key: str, party: Party, answer: Answer | Role) -> None:
        """The answer is there: those who wait have it."""
        with LOCK:
            flight = self._table.get(key)
            if flight is None or party not in flight.leaders:
                return
            # In this order: of those whom an interruption keeps from being woken, one leads when this party leaves.
            _wake(flight.waiting, answer)
            del self._table[key]

    def dissolve(self, key: str, party: Party) -> None:
        """There is an answer that nobody else may have: those who wait ask for themselves."""
        self.settle(key, party, Role.ALONE)

    def leave(self, key: str, party: Party) -> None:
        """There is no answer, or it is not waited for any more. If nobody else leads, one who waits does now."""
        with LOCK:
            flight = self._table.get(key)
            if flight is None:
                return
            if party in flight.waiting:
                flight.waiting.remove(party)
            if party not in flight.leaders:
                return
            waiting = [other for other in flight.waiting if not other.woken.done()]
            if len(flight.leaders) == 1 and waiting:
                # It leads once it has been woken, so that an interruption leaves nobody waiting for who does not ask.
                heir = waiting[0]
                _wake([heir], Role.LEAD)
                flight.waiting = waiting[1:]
                _wake(flight.led_by(heir), Role.ALONE)
            flight.leaders.remove(party)
            if not flight.leaders:
                del self._table[key]

    def overtake(self, key: str, party: Party, leader: Party | None) -> bool:
        """Lead in the place of one that takes too long, if that one still leads.

        Args:
            key: The question.
            party: Who has waited.
            leader: For whom.

        Returns:
            True if this party leads now.
        """
        with LOCK:
            flight = self._table.get(key)
            if flight is None or party not in flight.waiting or flight.leaders[-1] is not leader:
                return flight is not None and party in flight.leaders
            flight.waiting.remove(party)
            stuck = flight.led_by(party)
        _wake(stuck, Role.ALONE)
        return True

    def _forget_the_parents(self) -> None:
        """After a fork: who asked in the parent process answers nobody here."""
        if self._process[0] != os.getpid():
            self._process[0] = os.getpid()
            self._table.clear()


def _wake(parties: list[Party], with_what: Answer | Role) -> None:
    for party in parties:
        if not party.woken.done():
            party.woken.set_result(with_what)
