"""A ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence

from llmstack.effects import Flow, monotonic, now
from llmstack.errors import StoreError, UnknownReservationError
from llmstack.stores._amounts import check_amounts
from llmstack.stores._memory.account import Accounts, refusal
from llmstack.stores._memory.lock import LOCK
from llmstack.stores._memory.reservations import Kept, Reservations
from llmstack.stores.ledger import Balance, Bucket, Charge, Granted, Record, Refused, Reservation, State

__all__ = ["MemoryLedger"]


class MemoryLedger:
    """Accounts in this process. May be used by any number of threads and event loops; never does I/O.

    Of the history it keeps the last rows only; of the ended reservations the last ten thousand.
    """

    def __init__(self, rows: int) -> None:
        """Begin with nothing.

        Args:
            rows: Rows of history that are kept.
        """
        self._limit = rows
        self._rows: dict[str, Record] = {}
        self._accounts = Accounts()
        self._reservations = Reservations()

    def reserve(self, reservation: Reservation) -> Flow[Granted | Refused]:
        """See `llmstack.stores.Ledger.reserve`."""
        monotonic_now = yield from monotonic()
        time = yield from now()
        accounts = self._accounts
        with LOCK:
            self._expire(monotonic_now)
            accounts.sweep(monotonic_now)
            if self._reservations.get(reservation.id) is None:
                refused = refusal(accounts, reservation.charges)
                if refused is not None:
                    return refused
                self._begin(reservation, time, monotonic_now)
            return Granted(self._balances(reservation.charges))

    def mark_sent(self, reservation: str) -> Flow[None]:
        """See `llmstack.stores.Ledger.mark_sent`."""
        with LOCK:
            kept = self._reservations.get(reservation)
            if kept is not None and kept.state == "held":
                kept.state = "sent"
        return
        yield  # a flow, as the others are

    def settle(self, reservation: str, amounts: Sequence[int], record: Record) -> Flow[tuple[Balance, ...]]:
        """See `llmstack.stores.Ledger.settle`."""
        with LOCK:
            kept = self._reservations.get(reservation)
            if kept is None or kept.reservation is None:
                raise UnknownReservationError(
                    f"the reservation {reservation!r} is not known: nothing was counted", store="memory"
                )
            charges = kept.reservation.charges
            check_amounts(amounts, len(charges))
            if kept.state not in ("settled", "released"):
                lost = kept.state == "expired"
                self._rows.pop(kept.reservation.record.id, None)
                self._write(record)
                self._end(
                    reservation,
                    kept,
                    "settled",
                    [0 if lost else -charge.amount for charge in charges],
                    [
                        amount - (charge.amount if lost and kept.sent else 0)
                        for charge, amount in zip(charges, amounts, strict=True)
                    ],
                )
            return self._balances(charges)
        yield  # a flow, as the others are

    def release(self, reservation: str, record: Record | None = None) -> Flow[None]:
        """See `llmstack.stores.Ledger.release`."""
        with LOCK:
            kept = self._reservations.get(reservation)
            lives = kept is not None and kept.reservation is not None and kept.state in ("held", "sent")
            if record is not None and (lives or kept is None):
                self._write(record)
            if kept is None:
                self._reservations.end(reservation, Kept(None, "released"), "released")
            elif lives and kept.reservation is not None:
                charges = kept.reservation.charges
                self._end(reservation, kept, "released", [-charge.amount for charge in charges], [0] * len(charges))
        return
        yield  # a flow, as the others are

    def add(self, record: Record) -> Flow[None]:
        """See `llmstack.stores.Ledger.add`."""
        with LOCK:
            if record.id not in self._rows:
                self._write(record)
        return
        yield  # a flow, as the others are

    def spent(self, buckets: Sequence[Bucket]) -> Flow[list[Balance]]:
        """See `llmstack.stores.Ledger.spent`."""
        monotonic_now = yield from monotonic()
        with LOCK:
            self._expire(monotonic_now)
            return [self._accounts.balance(bucket) for bucket in buckets]

    def history(
        self, *, since: float = 0.0, until: float | None = None, after: str = "", limit: int = 1000
    ) -> Flow[list[Record]]:
        """See `llmstack.stores.Ledger.history`."""
        if limit < 1:
            raise ValueError(f"a page has at least 1 row, not {limit}")
        with LOCK:
            rows = list(self._rows.values())
            last = self._rows.get(after)
        if after and last is None:
            raise StoreError(f"there is no row {after!r} to go on from: it was dropped meanwhile", store="memory")
        begin = (last.at, last.id) if last else (since, "")
        found = [
            row for row in rows if since <= row.at and (until is None or row.at < until) and (row.at, row.id) >= begin
        ]
        found.sort(key=lambda row: (row.at, row.id))
        return [row for row in found if row is not last][:limit]
        yield  # a flow, as the others are

    def prune(self, before: float) -> Flow[int]:
        """See `llmstack.stores.Ledger.prune`."""
        time = yield from now()
        with LOCK:
            self._accounts.prune(time)
            old = [row.id for row in self._rows.values() if row.at < before]
            for key in old:
                del self._rows[key]
            return len(old)

    def close(self) -> None:
        """Nothing is open; the accounts stay."""

    async def aclose(self) -> None:
        """Nothing is open; the accounts stay."""

    def _expire(self, monotonic_now: float) -> None:
        """Settle the leases that have ended."""
        for key, kept in self._reservations.over(monotonic_now):
            if kept.reservation is None:
                continue
            kept.sent = kept.state == "sent"
            self._write(kept.reservation.record.expired(sent=kept.sent))
            amounts = [charge.amount for charge in kept.reservation.charges]
            spent = amounts if kept.sent else [0] * len(amounts)
            self._end(key, kept, "expired", [-amount for amount in amounts], spent)

    # All or nothing, wherever an interruption strikes: what is done by halves would be held for ever.

    def _begin(self, reservation: Reservation, time: float, monotonic_now: float) -> None:
        held: list[Charge] = []
        try:
            self._accounts.hold(reservation.charges, time, monotonic_now, held)
            self._reservations.begin(reservation, monotonic_now + reservation.lease)
        except BaseException:
            for charge in held:
                self._accounts.move(charge, held=-charge.amount, spent=0)
            self._reservations.forget(reservation.id)
            raise

    def _end(self, key: str, kept: Kept, state: State, held: Sequence[int], spent: Sequence[int]) -> None:
        charges = () if kept.reservation is None else kept.reservation.charges
        moved: list[tuple[Charge, int, int]] = []
        try:
            for move in zip(charges, held, spent, strict=True):
                charge, more_held, more_spent = move
                self._accounts.move(charge, held=more_held, spent=more_spent)
                moved.append(move)
            self._reservations.end(key, kept, state)
        except BaseException:
            if kept.state != state:
                for charge, more_held, more_spent in moved:
                    self._accounts.move(charge, held=-more_held, spent=-more_spent)
            raise

    def _balances(self, charges: Sequence[Charge]) -> tuple[Balance, ...]:
        return tuple([self._accounts.balance(charge.bucket) for charge in charges])

    def _write(self, record: Record) -> None:
        self._rows[record.id] = record
        if len(self._rows) > self._limit:
            del self._rows[next(iter(self._rows))]
