"""Account: the ledger as Budget uses it. What has been paid is never lost, whatever the store does."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from llmstack import Flow
from llmstack.errors import StoreError, UnknownReservationError
from llmstack.stores import Balance, Granted, Ledger, Record, Refused, Reservation

_MOST_KEPT: Final = 10_000
"""Entries kept while the store is down; the oldest go first. Their reservations' leases then end, which charges all of
it."""

_AT_ONCE: Final = 20
"""Entries caught up on with one call."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What has to get into the books.

    Attributes:
        record: The row.
        amounts: What it took of each account; None for a reservation to be released.
        reserved: False for a row without a reservation.
    """

    record: Record
    amounts: Sequence[int] | None
    reserved: bool


class Account:
    """A ledger, and the entries that it could not take yet."""

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        """Take what gives the ledger; it is asked for with each operation, for it may be opened late."""
        self._ledger = ledger
        self._kept: deque[Entry] = deque(maxlen=_MOST_KEPT)
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        """How many entries wait for the store to come back."""
        return len(self._kept)

    def reserve(self, reservation: Reservation) -> Flow[Granted | Refused]:
        """Reserve. If this is interrupted, or the store fails, nothing stays reserved.

        Raises:
            StoreError: If the store cannot be used.
        """
        undone = _unsent(reservation.record)
        try:
            return (yield from self._ledger().reserve(reservation))
        except GeneratorExit:
            self._keep(undone)
            raise
        except BaseException:
            # It may have got there all the same.
            yield from self.book(undone)
            raise

    def withdraw(self, record: Record) -> Flow[None]:
        """Let go of a reservation for what was never sent."""
        yield from self.book(_unsent(record))

    def book(self, entry: Entry) -> Flow[tuple[Balance, ...] | StoreError]:
        """Put an entry into the books; once only, however often it is tried.

        An interruption does not keep it from getting there, and a store that cannot take it now gets it later.

        Returns:
            The balances of the reservation's accounts afterwards, none for other entries; or why it is kept for later.
        """
        try:
            balances = yield from self._put(entry)
        except StoreError as error:
            self._keep(entry)
            return error
        except GeneratorExit:
            self._keep(entry)
            raise
        except BaseException:
            try:
                yield from self._put(entry)
            except StoreError:
                self._keep(entry)
            raise
        if self._kept:
            yield from self.catch_up()
        return balances

    def catch_up(self, most: int = _AT_ONCE) -> Flow[None]:
        """Put into the books what is kept, until it is done or the store fails again."""
        for _ in range(min(most, len(self._kept))):
            with self._lock:
                if not self._kept:
                    return
                entry = self._kept.popleft()
            try:
                yield from self._put(entry)
            except StoreError:
                self._keep(entry)
                return
            except BaseException:
                self._keep(entry)
                raise

    def _put(self, entry: Entry) -> Flow[tuple[Balance, ...]]:
        ledger, record = self._ledger(), entry.record
        if not entry.reserved:
            yield from ledger.add(record)
            return ()
        if entry.amounts is None:
            yield from ledger.release(record.id, record if record.number else None)
            return ()
        try:
            return (yield from ledger.settle(record.id, entry.amounts, record))
        except UnknownReservationError:
            # The ledger has lost it, so nothing can be counted; but the row can be kept.
            yield from ledger.add(record)
            return ()

    def _keep(self, entry: Entry) -> None:
        with self._lock:
            self._kept.append(entry)


def _unsent(record: Record) -> Entry:
    """What was never sent has no number, and no row."""
    return Entry(replace(record, number=0), None, reserved=True)
