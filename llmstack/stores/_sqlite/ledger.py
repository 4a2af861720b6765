"""A ledger in a SQLite file. Each operation is one short transaction; see `llmstack.stores.ledger`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import inf

from llmstack.effects import Flow, monotonic, now
from llmstack.errors import StoreError, UnknownReservationError
from llmstack.stores._amounts import check_amounts
from llmstack.stores._sqlite import book
from llmstack.stores._sqlite.access import Access
from llmstack.stores._sqlite.pool import Connection
from llmstack.stores._sqlite.row import COLUMNS, from_row
from llmstack.stores.ledger import Balance, Bucket, Granted, Record, Refused, Reservation

__all__ = ["SqliteLedger"]

_TIDY = 200
"""At the first and then every so many reservations those that have ended long ago are forgotten."""

_BATCH = 5000
"""Rows that are pruned at once, so that nobody waits long."""

_AFTER = f"SELECT {COLUMNS} FROM records WHERE (at, id) > (?, ?) AND at >= ? AND at < ? ORDER BY at, id LIMIT ?"  # noqa: S608 - fixed text
_PRUNE = "DELETE FROM records WHERE id IN (SELECT id FROM records WHERE at < ? ORDER BY at LIMIT ?)"


class SqliteLedger:
    """Accounts in a file. May be used by any number of threads, event loops and processes of one machine.

    Args:
        access: To the file.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._turn = itertools.count()

    def reserve(self, reservation: Reservation) -> Flow[Granted | Refused]:
        """See `llmstack.stores.Ledger.reserve`. Time is this machine's since it was started."""
        time = yield from monotonic()
        tidy = next(self._turn) % _TIDY == 0

        def work(connection: Connection) -> Granted | Refused:
            if tidy:
                book.tidy(connection, time)
            book.expire(connection, time, old=tidy)
            return book.reserve(connection, reservation, time)

        return (yield from self._access.write(work))

    def mark_sent(self, reservation: str) -> Flow[None]:
        """See `llmstack.stores.Ledger.mark_sent`."""
        yield from self._access.write(lambda connection: book.mark_sent(connection, reservation))

    def settle(self, reservation: str, amounts: Sequence[int], record: Record) -> Flow[tuple[Balance, ...]]:
        """See `llmstack.stores.Ledger.settle`."""

        def work(connection: Connection) -> tuple[Balance, ...]:
            kept = book.find(connection, reservation)
            if kept is None or kept.unmade:
                raise UnknownReservationError(
                    f"the reservation {reservation!r} is not known: nothing was counted", store="sqlite"
                )
            check_amounts(amounts, len(kept.charges))
            if not kept.final:
                book.settle(connection, kept, amounts, record)
            return tuple([book.balance(connection, name, since) for name, since, _, _ in kept.charges])

        return (yield from self._access.write(work, shield=True))

    def release(self, reservation: str, record: Record | None = None) -> Flow[None]:
        """See `llmstack.stores.Ledger.release`."""
        time = yield from monotonic()
        yield from self._access.write(
            lambda connection: book.release(connection, reservation, record, time), shield=True
        )

    def add(self, record: Record) -> Flow[None]:
        """See `llmstack.stores.Ledger.add`."""
        yield from self._access.write(lambda connection: book.write(connection, record, again="IGNORE"), shield=True)

    def spent(self, buckets: Sequence[Bucket]) -> Flow[list[Balance]]:
        """See `llmstack.stores.Ledger.spent`."""
        time = yield from monotonic()
        if (yield from self._access.read(lambda connection: bool(book.over(connection, time, old=True)))):
            yield from self._access.write(lambda connection: book.expire(connection, time, old=True))

        def work(connection: Connection) -> list[Balance]:
            connection.execute("BEGIN")  # all of them at one moment
            balances = [book.balance(connection, bucket.name, bucket.since) for bucket in buckets]
            connection.execute("COMMIT")
            return balances

        return (yield from self._access.read(work))

    def history(
        self, *, since: float = 0.0, until: float | None = None, after: str = "", limit: int = 1000
    ) -> Flow[list[Record]]:
        """See `llmstack.stores.Ledger.history`."""
        if limit < 1:
            raise ValueError(f"a page has at least 1 row, not {limit}")

        def work(connection: Connection) -> list[Record]:
            begin = (-inf, "")
            if after:
                last = connection.execute("SELECT at, id FROM records WHERE id = ?", (after,)).fetchone()
                if last is None:
                    raise StoreError(f"there is no row {after!r} to go on from: it was pruned", store="sqlite")
                begin = last
            given = (*begin, since, inf if until is None else until, limit)
            return [from_row(row) for row in connection.execute(_AFTER, given).fetchall()]

        return (yield from self._access.read(work))

    def prune(self, before: float) -> Flow[int]:
        """See `llmstack.stores.Ledger.prune`."""
        wall = yield from now()
        time = yield from monotonic()

        def slices(connection: Connection) -> None:
            connection.execute("DELETE FROM slices WHERE keep_until <= ? AND held = 0", (wall,))
            book.tidy(connection, time)

        yield from self._access.write(slices)
        pruned = 0
        while True:
            gone = yield from self._access.write(
                lambda connection: connection.execute(_PRUNE, (before, _BATCH)).rowcount
            )
            pruned += gone
            if gone < _BATCH:
                return pruned

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        self._access.close()

    async def aclose(self) -> None:
        """The same in an async program."""
        await self._access.aclose()
