"""In company: a call that asks together with others, of this process and of others, so that one request is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from llmstack import Call, Flow, Reply
from llmstack.effects import sleep, wait
from llmstack.middleware._cache.entry import Answer
from llmstack.middleware._cache.flight import Party, Role, arrive
from llmstack.middleware._cache.question import Answered
from llmstack.middleware._cache.visit import Found, Visit

__all__ = ["Company"]

_LEASE: Final = 60.0
"""Seconds for which a process asks for all others, at most."""

_SHORTEST_POLL: Final = 0.02
_LONGEST_POLL: Final = 0.25
"""Seconds between two looks at a store in which another process is to leave its answer."""


class Company:
    """One call among those that ask the same.

    Args:
        visit: The call at the cache.
        patience: Seconds that it waits for one which its program reads piece by piece.
    """

    __slots__ = ("_flights", "_key", "_most", "_patience", "_shelf", "_streams", "_visit")

    def __init__(self, visit: Visit, patience: float) -> None:
        self._visit = visit
        self._patience = patience
        self._key = visit.question.key
        self._flights = visit.counter.flights
        self._shelf = visit.counter.shelf
        self._streams = visit.call.stream or visit.call.raw == "stream"
        self._most = _longest(visit.call)

    def reply(self, found: Found) -> Flow[Reply]:
        """Ask, or wait for another call that asks the same.

        Args:
            found: What is known.
        """
        party = yield from arrive(streams=self._streams)
        try:
            return (yield from self._replied(party, found))
        finally:
            self._flights.leave(self._key, party)  # only if an interruption has struck where nobody else does it

    def _replied(self, party: Party, found: Found) -> Flow[Reply]:
        role: Answer | Role = self._flights.join(self._key, party)
        known: Found | None = found
        if role is Role.WAIT:
            role = yield from self._waited(party)
            known = None
        if isinstance(role, Answer):
            role = replace(role, read=None)  # a value can be changed: no two calls have the same
            return (yield from self._visit.served(role, shared=not role.stale))
        if role is Role.ALONE:
            return (yield from self._visit.asked(found, found.reason)).reply
        return (yield from self._led(party, known))

    def _waited(self, party: Party) -> Flow[Answer | Role]:
        """Wait for who asks; but for one that its program reads no longer than that, and never longer than this may."""
        flights, key, most = self._flights, self._key, self._most
        waited = 0.0
        try:
            while True:
                leader = flights.leader(key)
                bound = self._patience if most is None else min(self._patience, max(0.0, most - waited))
                try:
                    return (yield from wait(party.woken, bound))
                except TimeoutError:
                    waited += bound
                if most is not None and waited >= most:
                    break
                if leader is not None and leader.streams and flights.overtake(key, party, leader):
                    return Role.LEAD
        except BaseException:
            flights.leave(key, party)
            raise
        flights.leave(key, party)
        return Role.ALONE

    def _led(self, party: Party, known: Found | None) -> Flow[Reply]:
        """Ask for all that wait."""
        flights, key = self._flights, self._key
        try:
            answered = yield from self._in_turn(known)
        except BaseException:
            flights.leave(key, party)
            raise
        if answered.answer is not None:
            flights.settle(key, party, answered.answer)
        elif answered.reply.complete:
            flights.dissolve(key, party)
        else:
            flights.leave(key, party)
        return answered.reply

    def _in_turn(self, known: Found | None) -> Flow[Answered]:
        """Ask, if no other process does: else wait for what it leaves in the store."""
        visit = self._visit
        try:
            found = yield from self._leased()
            shared = found is not None
            if found is None:
                # Somebody may have asked between the first look and here.
                found = yield from visit.look_again(known)
            if found.answer is not None:
                answered = Answered((yield from visit.served(found.answer, shared=shared)), found.answer)
            else:
                answered = yield from visit.asked(found, found.reason)
        except GeneratorExit:
            raise  # nothing can be asked for any more: the lease ends by itself
        except BaseException:
            yield from self._given_back()
            raise
        yield from self._given_back()
        return answered

    def _leased(self) -> Flow[Found | None]:
        """Take the lease, so that other processes wait for this one.

        Returns:
            What another process has left meanwhile; None if this one is to ask.
        """
        if not self._shelf.shared:
            return None
        pause, waited = _SHORTEST_POLL, 0.0
        seconds = self._patience if self._streams else _LEASE
        while not (yield from self._shelf.lease(self._key, self._visit.call.id, seconds)):
            if self._most is not None and waited + pause >= self._most:
                return None
            yield from sleep(pause)
            waited += pause
            pause = min(_LONGEST_POLL, pause * 1.5)
            found = yield from self._visit.look()
            if found.answer is not None:
                return found
        return None

    def _given_back(self) -> Flow[None]:
        if self._shelf.shared:
            yield from self._shelf.unlease(self._key, self._visit.call.id)


def _longest(call: Call) -> float | None:
    """Seconds that a call itself would wait for an answer."""
    timeout: Any = getattr(call.timeout, "read", call.timeout)
    own = float(timeout) if isinstance(timeout, (int, float)) else None
    known = [seconds for seconds in (own, call.remaining) if seconds is not None]
    return max(0.0, min(known)) if known else None
