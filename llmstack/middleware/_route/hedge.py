"""Duel: a second target is asked when the first one is slow; the first answer counts.

Law of this file: neither side ends before it is decided what the race brings, since the first that ends, ends the
race. So a side that fails while the other is under way waits for how that one ends, and so does one whose answer comes
second: whichever side ends first, it ends with the same.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Protocol

from llmstack import Flow, Reply
from llmstack.effects import monotonic, race, sleep, wait
from llmstack.middleware._route.health import Ticket
from llmstack.middleware._route.hop import Hop

__all__ = ["Duel", "Side"]


class Journey(Protocol):
    """What a duel needs of a call's journey."""

    def enter_open(self, at: float) -> Ticket | None:
        """Give the call to the next target that is not left alone; None if there is none."""
        ...

    def hop(self, ticket: Ticket, side: Side | None = None) -> Flow[Reply]:
        """Ask one target."""
        ...

    def leave(self, ticket: Ticket) -> None:
        """Take the call from a target that it has not been sent to."""
        ...

    def is_final(self, error: Exception) -> bool:
        """Whether a failure is the program's, whoever else could be asked."""
        ...


class Side:
    """One of the two.

    Attributes:
        duel: The duel.
        end: What it ends with: its answer; None if it has none that counts.
        answered: True if its answer is the one that counts.
        hop: What is asked; None before that.
    """

    def __init__(self, duel: Duel) -> None:
        """Begin."""
        self.duel = duel
        self.hop: Hop | None = None
        self.end: Future[Reply | None] = Future()
        self.answered = False

    def won(self) -> bool:
        """It has an answer: whether that is the first."""
        self.answered = self.duel.decide()
        return self.answered

    @property
    def other(self) -> Side:
        """The other one."""
        return self.duel.second if self is self.duel.first else self.duel.first

    def leave(self, reply: Reply | None = None) -> None:
        """Tell the other how it ended. The first word counts."""
        if not self.end.done():
            self.end.set_result(reply)


class Duel:
    """One call, sent to two targets.

    Attributes:
        first: The side of the target that is asked at once.
        second: The side of the one that is asked after a while.
        both: True once the second has been asked.
    """

    def __init__(self, journey: Journey, delay: float) -> None:
        """Ask the second target after so many seconds."""
        self._journey = journey
        self._delay = delay
        self._lock = threading.Lock()
        self._decided = False
        self._first_failed = False
        self.first, self.second = Side(self), Side(self)
        self._error: Exception | None = None
        self.both = False

    def fight(self, ticket: Ticket) -> Flow[Reply]:
        """Run both sides.

        Raises:
            Exception: The error of the side that failed last, if both did; or that of the first, if it is final.
        """
        try:
            reply = yield from race(self._run(self.first, ticket), self._after_a_while())
            if reply is not None:
                return reply
            assert self._error is not None  # noqa: S101 - None means that all who were asked have failed
            raise self._error
        finally:
            self._error = None  # its traceback holds this frame
            if self.first.hop is None:
                self._journey.leave(ticket)  # the race was called off before it began

    def decide(self) -> bool:
        """The race brings what a side has now: whether it is the first to say so."""
        with self._lock:
            first, self._decided = not self._decided, True
        return first

    def _after_a_while(self) -> Flow[Reply | None]:
        yield from sleep(self._delay)
        ticket = self._begin((yield from monotonic()))
        if ticket is None:
            # There is nobody else to ask, or the first side has ended: what becomes of it counts.
            return (yield from wait(self.first.end))
        return (yield from self._run(self.second, ticket))

    def _begin(self, at: float) -> Ticket | None:
        with self._lock:
            if self._first_failed or self._decided:
                return None
            ticket = self._journey.enter_open(at)
            self.both = ticket is not None
        return ticket

    def _run(self, mine: Side, ticket: Ticket) -> Flow[Reply | None]:
        try:
            reply = yield from self._journey.hop(ticket, mine)
        except Exception as error:  # noqa: BLE001 - raised in `fight`, if nobody answers
            over = self._failed(mine, error)
            mine.leave()
            return None if over else (yield from wait(mine.other.end))
        else:
            if not mine.answered:
                mine.leave()
                return (yield from wait(mine.other.end))
            mine.leave(reply)
            return reply
        finally:
            mine.leave()  # cancelled, or the race is over

    def _failed(self, mine: Side, error: Exception) -> bool:
        """A side has failed: whether that ends the race.

        What is wrong with the request at the first target would be the program's without a second one, too. At the
        second it may be that target's own, which the program did not ask for.
        """
        with self._lock:
            if self._decided:
                return False
            self._error = error
            if mine is self.first:
                self._first_failed = True
                self._decided = self._journey.is_final(error)
            return self._decided or not self.both
