"""Reservations in memory: the living ones by the end of their leases, and as many ended ones as are worth knowing."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass

from llmstack.stores.ledger import Reservation, State

__all__ = ["Kept", "Reservations"]

_ENDED = 10_000
"""Ended reservations that are remembered, so that what is done again counts once; and as many whose lease has ended."""


@dataclass(slots=True)
class Kept:
    """A reservation and where it stands.

    Attributes:
        reservation: As it was made; None if it was released before.
        state: Its state.
        sent: Whether it was sent when its lease ended.
        end: When its lease ends, on the monotonic clock.
    """

    reservation: Reservation | None
    state: State
    sent: bool = False
    end: float = 0.0


class Reservations:
    """All that are known, by id."""

    def __init__(self) -> None:
        """Begin with none."""
        self._living: dict[str, Kept] = {}
        self._ended: OrderedDict[str, Kept] = OrderedDict()
        self._expired: OrderedDict[str, Kept] = OrderedDict()
        self._ends: list[tuple[float, str]] = []  # a heap

    def get(self, key: str) -> Kept | None:
        """The reservation of an id; None if it is not known."""
        return self._living.get(key) or self._ended.get(key) or self._expired.get(key)

    def begin(self, reservation: Reservation, end: float) -> None:
        """A new one lives."""
        key = reservation.id
        self._living[key] = Kept(reservation, "sent" if reservation.sent else "held", end=end)
        if len(self._ends) > 2 * len(self._living) + 100:  # most have been settled long before their lease's end
            self._ends = [(kept.end, key) for key, kept in self._living.items()]
            heapq.heapify(self._ends)
        else:
            heapq.heappush(self._ends, (end, key))

    def forget(self, key: str) -> None:
        """One has not come to live after all."""
        self._living.pop(key, None)

    def end(self, key: str, kept: Kept, state: State) -> None:
        """One has ended, in some state."""
        past = self._expired if state == "expired" else self._ended
        kept.state = state  # an interruption that strikes after this finds it ended
        past[key] = kept
        self._living.pop(key, None)
        if past is self._ended:
            self._expired.pop(key, None)
        if len(past) > _ENDED:
            past.popitem(last=False)

    def over(self, monotonic: float) -> list[tuple[str, Kept]]:
        """Those that live although their lease has ended."""
        found: list[tuple[str, Kept]] = []
        while self._ends and self._ends[0][0] <= monotonic:
            _, key = heapq.heappop(self._ends)
            kept = self._living.get(key)
            if kept is not None and kept.state in ("held", "sent"):
                found.append((key, kept))
        return found
