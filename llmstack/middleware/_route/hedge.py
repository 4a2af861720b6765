"""Duel: a second target is asked when the first one is slow; the first answer counts.

Law of this file: neither side ends before it is decided who has won, since the first that ends, ends the race. So a
side that fails while the other is under way waits for how that one ends.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Protocol

from llmstack import Flow, Reply
from llmstack.effects import monotonic, race, sleep, wait
from llmstack.middleware._route.health import Ticket

__all__ = ["Duel"]


class Journey(Protocol):
    """What a duel needs of a call's journey."""

    def enter_open(self, at: float) -> Ticket | None:
        """Give the call to the next target that is not left alone; None if there is none."""
        ...

    def hop(self, ticket: Ticket, duel: Duel | None = None) -> Flow[Reply]:
        """Ask one target."""
        ...


class Duel:
    """One call, sent to two targets.

    Attributes:
        both: True once the second has been asked.
    """

    def __init__(self, journey: Journey, delay: float) -> None:
        """Ask the second target after so many seconds."""
        self._journey = journey
        self._delay = delay
        self._lock = threading.Lock()
        self._decided = False
        self._first_failed = False
        self._ends: tuple[Future[Reply | None], Future[Reply | None]] = (Future(), Future())
        self._error: Exception | None = None
        self.both = False

    def fight(self, ticket: Ticket) -> Flow[Reply]:
        """Run both sides.

        Raises:
            Exception: The error of the side that failed last, if both did.
        """
        try:
            reply = yield from race(self._first(ticket), self._second())
            if reply is not None:
                return reply
            assert self._error is not None  # noqa: S101 - None means that all who were asked have failed
            raise self._error
        finally:
            self._error = None  # its traceback holds this frame

    def won(self) -> bool:
        """A side has an answer: whether it is the first."""
        with self._lock:
            first, self._decided = not self._decided, True
        return first

    def _first(self, ticket: Ticket) -> Flow[Reply | None]:
        return (yield from self._side(0, ticket))

    def _second(self) -> Flow[Reply | None]:
        yield from sleep(self._delay)
        ticket = self._begin((yield from monotonic()))
        if ticket is None:
            # There is nobody else to ask, or the first side has ended: what becomes of it counts.
            return (yield from wait(self._ends[0]))
        return (yield from self._side(1, ticket))

    def _begin(self, at: float) -> Ticket | None:
        with self._lock:
            if self._first_failed or self._decided:
                return None
            ticket = self._journey.enter_open(at)
            self.both = ticket is not None
        return ticket

    def _side(self, side: int, ticket: Ticket) -> Flow[Reply | None]:
        mine, other = self._ends[side], self._ends[1 - side]
        try:
            reply = yield from self._journey.hop(ticket, self)
        except Exception as error:  # noqa: BLE001 - raised in `fight`, if the other side fails as well
            alone = self._lost(side, error)
            mine.set_result(None)
            return None if alone else (yield from wait(other))
        else:
            mine.set_result(reply)
            return reply
        finally:
            if not mine.done():  # cancelled, or the race is over
                mine.set_result(None)

    def _lost(self, side: int, error: Exception) -> bool:
        """A side has failed: whether it was alone."""
        with self._lock:
            self._error = error
            self._first_failed = self._first_failed or side == 0
            return not self.both
