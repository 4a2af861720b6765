"""The ledger in Redis: each operation is one script."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any, Final

from llmstack.effects import Flow, now
from llmstack.errors import StoreError, UnknownReservationError
from llmstack.stores import Balance, Bucket, Granted, Record, Refused, Reservation
from llmstack_redis import epoch
from llmstack_redis.fault import STORE
from llmstack_redis.link import Link, whole
from llmstack_redis.script import read_script

__all__ = ["MOST", "RedisLedger"]

MOST: Final = 2**53 - 1
"""The largest amount: Lua's numbers are exact up to here. In nano-dollars, nine million dollars."""

_PAGE: Final = 50
"""Rows that are read at a time: more would hold up an event loop while they are decoded."""

_ENDED_DAYS: Final = 7
"""How long an ended reservation is remembered, for a late settlement and for what is done again."""

_KEYS: Final = ("accounts", "reservations", "leases", "ended", "rows", "history", "written", "times")
_DAY: Final = 86_400_000

_SCRIPTS: Final = ("reserve", "mark_sent", "settle", "release", "add", "spent", "history", "prune", "begin")


class RedisLedger:
    """Accounts shared by all that use the same Redis and prefix. For any number of threads and event loops.

    All of it lies in eight keys with a common hash tag, so that a cluster keeps them at one node.
    """

    def __init__(self, link: Link) -> None:
        """Open nothing yet.

        Args:
            link: The way to Redis.
        """
        settings = link.settings
        self._link = link
        self._place = settings.place
        self._keys = tuple(f"{{{settings.prefix}:ledger}}:{key}" for key in _KEYS)
        self._scripts = {name: read_script("ledger", name) for name in _SCRIPTS}  # now, not in an event loop
        self._keep = (round(settings.history_days * _DAY), _ENDED_DAYS * _DAY)

    def reserve(self, reservation: Reservation) -> Flow[Granted | Refused]:
        """See `llmstack.stores.Ledger.reserve`."""
        seconds = yield from now()
        row = reservation.record
        state = "sent" if reservation.sent else "held"
        arguments: list[Any] = [reservation.id, max(1, round(reservation.lease * 1000)), state, *_row(row)]
        for charge in reservation.charges:
            _check(charge.amount)
            limit = "" if charge.limit is None or charge.limit > MOST else charge.limit
            left = max(0, math.ceil(charge.keep_until - seconds))  # by Redis's clock, whatever this machine's says
            arguments += (charge.bucket.name, charge.slice, charge.bucket.since, left, charge.amount, limit)
        reply = yield from self._run("reserve", *arguments)
        if reply[0] == b"refused":
            return Refused(charge=int(reply[1]), balance=_balances(reply[2:])[0])
        return Granted(tuple(_balances(reply[1:])))

    def mark_sent(self, reservation: str) -> Flow[None]:
        """See `llmstack.stores.Ledger.mark_sent`."""
        yield from self._run("mark_sent", reservation)

    def settle(self, reservation: str, amounts: Sequence[int], record: Record) -> Flow[tuple[Balance, ...]]:
        """See `llmstack.stores.Ledger.settle`."""
        for amount in amounts:
            if amount < 0:
                raise ValueError("what was spent must not be negative")
            _check(amount)
        reply = yield from self._run_whole("settle", reservation, *_row(record), *amounts)
        if reply[0] == b"unknown":
            message = f"the reservation {reservation!r} is not known: nothing was counted"
            raise UnknownReservationError(message, store=STORE)
        if reply[0] == b"amounts":
            raise ValueError(f"the reservation has {int(reply[1])} charges, and {len(amounts)} amounts were given")
        return tuple(_balances(reply[1:]))

    def release(self, reservation: str, record: Record | None = None) -> Flow[None]:
        """See `llmstack.stores.Ledger.release`."""
        row = () if record is None else _row(record)
        yield from self._run_whole("release", reservation, *row)

    def add(self, record: Record) -> Flow[None]:
        """See `llmstack.stores.Ledger.add`."""
        yield from self._run_whole("add", *_row(record))

    def spent(self, buckets: Sequence[Bucket]) -> Flow[list[Balance]]:
        """See `llmstack.stores.Ledger.spent`."""
        asked = [part for bucket in buckets for part in (bucket.name, bucket.since)]
        reply = yield from self._run("spent", *asked)
        return _balances(reply[1:])

    def history(
        self, *, since: float = 0.0, until: float | None = None, after: str = "", limit: int = 1000
    ) -> Flow[list[Record]]:
        """See `llmstack.stores.Ledger.history`."""
        if limit < 1:
            raise ValueError(f"a page has at least 1 row, not {limit}")
        rows: list[Record] = []
        end = "+inf" if until is None else repr(float(until))
        last = after
        while len(rows) < limit:
            most = min(_PAGE, limit - len(rows))
            reply = yield from self._run("history", repr(float(since)), end, last, most)
            if reply[0] == b"gone":
                raise StoreError(f"there is no row {last!r} to go on from: it was dropped meanwhile", store=STORE)
            found = reply[1:]
            rows += [_read(text) for text in found[1::2]]
            if len(found) < 2 * most:
                break
            last = found[-2].decode()
        return rows

    def prune(self, before: float) -> Flow[int]:
        """See `llmstack.stores.Ledger.prune`."""
        rows, more = 0, True
        while more:
            reply = yield from self._run("prune", repr(float(before)))
            rows += int(reply[1])
            more = reply[0] == b"more"
        return rows

    def begin(self) -> Flow[None]:
        """Begin anew if the ledger was lost; from now on this process trusts the one that is there.

        Raises:
            llmstack.errors.StoreError: If Redis cannot be used.
        """
        epoch.forget(self._place)
        yield from self._run("begin", anew=True)

    def close(self) -> None:
        """See `llmstack.stores.Ledger.close`."""
        self._link.close()

    async def aclose(self) -> None:
        """See `llmstack.stores.Ledger.aclose`."""
        await self._link.aclose()

    def _run(self, name: str, *arguments: Any, anew: bool = False) -> Flow[list[Any]]:
        """Run a script, again as long as it asks for that; its reply without the epoch."""
        script = self._scripts[name]
        fresh = epoch.new() if anew or self._link.settings.init else ""
        until = time.monotonic() + self._link.settings.timeout
        while True:
            known = "!" if anew else epoch.known(self._place)
            whole = (known, fresh, *self._keep, *arguments)
            reply: list[Any] = yield from script.run(self._link, self._keys, whole, until=until)
            if reply[0] == b"lost":
                raise StoreError(_LOST if known or fresh else _NONE, store=STORE)
            if reply[0] == b"changed" or not epoch.seen(self._place, reply[0].decode()):
                raise StoreError(_CHANGED, store=STORE)
            if reply[1] == b"much":
                raise StoreError(_MUCH, store=STORE)
            if reply[1] != b"again":
                return reply[1:]

    def _run_whole(self, name: str, *arguments: Any) -> Flow[list[Any]]:
        """The same to its end, also for a program that is cancelled meanwhile: the money is spent."""
        return whole(lambda: self._run(name, *arguments))


def _check(amount: int) -> None:
    if amount > MOST:
        raise StoreError(_MUCH, store=STORE)


def _balances(numbers: Sequence[bytes]) -> list[Balance]:
    return [Balance(int(spent), int(held)) for spent, held in zip(numbers[::2], numbers[1::2], strict=True)]


def _row(record: Record) -> tuple[str, str, str]:
    """A row's id, its time, and itself as text."""
    return record.id, repr(float(record.at)), json.dumps(record.as_dict(), separators=(",", ":"))


def _read(text: bytes) -> Record:
    """The row of a text; its first letter tells whether its lease has ended: held, sent, or neither."""
    try:
        record = Record.from_dict(json.loads(text[1:]))
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError("a row of the history is damaged: prune it", store=STORE) from error
    return record if text[:1] == b"r" else record.expired(sent=text[:1] == b"s")


_HOW = "; whoever knows why may begin anew with llmstack_redis.begin(url)"
_NONE: Final = f"there is no ledger, and with ?init=no none is begun: it was lost, or never begun{_HOW}"
_LOST: Final = (
    "the ledger was lost or flushed: this Redis has forgotten what was spent. Was it restarted without persistence, "
    f"flushed, or told to evict keys? Nothing is reserved until then{_HOW}"
)
_CHANGED: Final = (
    "the ledger was lost or flushed, and another one was begun since this process saw it: what was spent is not known"
    f"{_HOW}, or restart this process to trust the new one"
)
_MUCH: Final = f"an account would hold more than {MOST}, beyond which Redis does not count exactly: nothing was counted"
