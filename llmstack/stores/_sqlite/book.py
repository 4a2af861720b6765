"""The book: what a ledger does to its tables. Each function runs within a transaction of its caller."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from llmstack.stores._sqlite.pool import Connection
from llmstack.stores._sqlite.row import COLUMNS, to_json, to_row
from llmstack.stores.ledger import Balance, Granted, Record, Refused, Reservation

__all__ = ["balance", "expire", "find", "mark_sent", "over", "release", "reserve", "settle", "tidy", "write"]

# As they are stored; two kinds of expired ones, for what a late settlement has to correct.
_HELD, _SENT, _SETTLED, _RELEASED, _CHARGED, _GIVEN_BACK = range(6)

_KEEP = 3600.0
"""Seconds beyond its lease's end that an ended reservation is known, so that what is done again counts once."""

_KEEP_EXPIRED = 7 * 24 * 3600.0
"""The same for one whose lease has ended: its settlement may come late."""

_SUMS = "SELECT coalesce(sum(spent), 0), coalesce(sum(held), 0) FROM slices WHERE bucket = ? AND slice >= ?"
_HOLD = """INSERT INTO slices VALUES (?, ?, 0, ?, ?) ON CONFLICT (bucket, slice)
    DO UPDATE SET held = held + excluded.held, keep_until = max(keep_until, excluded.keep_until)"""
_MOVE = "UPDATE slices SET held = held + ?, spent = spent + ? WHERE bucket = ? AND slice = ?"
_BEGIN = "INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
_END = "UPDATE reservations SET state = ?, record = '' WHERE id = ?"
_OVER = "SELECT id, state, charges, record FROM reservations WHERE state <= 1 AND ends <= :now"
# One that could not have begun yet is from before the machine was started anew. An hour is let pass: who is looking has
# read the time before it waited for its turn, and others have had theirs meanwhile. This looks at all that live.
_OVER_OR_OLD = """SELECT id, state, charges, record FROM reservations
    WHERE state <= 1 AND (ends <= :now OR ends - lease > :now + 3600.0)"""
_FORGET = """DELETE FROM reservations WHERE id IN (SELECT id FROM reservations WHERE state >= 2 AND
    (ends <= CASE WHEN state <= 3 THEN ? ELSE ? END OR ends - lease > ?) LIMIT 1000)"""

_PlainCharge = tuple[str, int, int, int]
"""A charge as it is kept: the bucket's name, since when it counts, the slice, the amount."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A reservation as the file has it."""

    id: str
    state: int
    charges: list[_PlainCharge]
    record: str

    @property
    def final(self) -> bool:
        """True if a settlement changes nothing any more."""
        return self.state in (_SETTLED, _RELEASED)

    @property
    def unmade(self) -> bool:
        """True if it was released before it was made."""
        return self.state == _RELEASED and self.record == "unmade"


def balance(connection: Connection, name: str, since: int) -> Balance:
    """What a bucket holds."""
    return Balance(*connection.execute(_SUMS, (_text(name), since)).fetchone())


def find(connection: Connection, reservation: str) -> Kept | None:
    """A reservation by its id; None if it is not known."""
    row = connection.execute(
        "SELECT id, state, charges, record FROM reservations WHERE id = ?", (reservation,)
    ).fetchone()
    return row and Kept(row[0], row[1], json.loads(row[2]), row[3])


def over(connection: Connection, time: float, *, old: bool) -> list[Kept]:
    """Reservations that live although their lease has ended.

    Args:
        connection: To the file.
        time: Seconds since the machine was started.
        old: Whether to look also for those from before it was started anew. Processes do not outlive that: it is enough
            to look now and then, also at the beginning.
    """
    rows = connection.execute(_OVER_OR_OLD if old else _OVER, {"now": time}).fetchall()
    return [Kept(key, state, json.loads(charges), record) for key, state, charges, record in rows]


def expire(connection: Connection, time: float, *, old: bool) -> None:
    """Settle the leases that have ended (see `over`): what was sent is charged, what was held is given back."""
    for kept in over(connection, time, old=old):
        sent = kept.state == _SENT
        _move(connection, kept, [amount if sent else 0 for *_, amount in kept.charges])
        write(connection, Record.from_dict(json.loads(kept.record)).expired(sent=sent))
        # The row's id stays, for the settlement that replaces the row.
        state = _CHARGED if sent else _GIVEN_BACK
        connection.execute("UPDATE reservations SET state = ? WHERE id = ?", (state, kept.id))


def reserve(connection: Connection, reservation: Reservation, time: float) -> Granted | Refused:
    """Reserve in all buckets or in none."""
    charges = reservation.charges
    before: dict[str, int] = {}
    balances: list[Balance] = []
    for i, charge in enumerate(charges):
        name = charge.bucket.name
        found = balance(connection, name, charge.bucket.since)
        already = before.get(name, 0)
        limit = charge.limit
        if limit is not None and found.spent + found.held + already + charge.amount > limit:
            if find(connection, reservation.id) is None:
                return Refused(charge=i, balance=found)
            limit = None  # it is known: nothing is reserved, and so nothing refused
        before[name] = already + charge.amount
        balances.append(found)
    if not _begin(connection, reservation, time):
        return Granted(tuple(balances))
    connection.executemany(
        _HOLD, [(_text(charge.bucket.name), charge.slice, charge.amount, charge.keep_until) for charge in charges]
    )
    if len(charges) == 1 and charges[0].slice >= charges[0].bucket.since:
        return Granted((Balance(balances[0].spent, balances[0].held + charges[0].amount),))
    return Granted(tuple([balance(connection, charge.bucket.name, charge.bucket.since) for charge in charges]))


def _begin(connection: Connection, reservation: Reservation, time: float) -> bool:
    """Note a reservation; False if its id is known."""
    plain = [(_text(c.bucket.name), c.bucket.since, c.slice, c.amount) for c in reservation.charges]
    state = _SENT if reservation.sent else _HELD
    record = to_json(reservation.record.as_dict())
    given = (reservation.id, state, time + reservation.lease, reservation.lease, to_json(plain), record)
    return connection.execute(_BEGIN, given).rowcount == 1


def mark_sent(connection: Connection, reservation: str) -> None:
    """Held becomes sent."""
    connection.execute("UPDATE reservations SET state = ? WHERE id = ? AND state = ?", (_SENT, reservation, _HELD))


def settle(connection: Connection, kept: Kept, amounts: Sequence[int], record: Record) -> None:
    """What it did cost takes the place of what was reserved, or of what was charged when its lease ended."""
    if kept.state in (_HELD, _SENT):
        _move(connection, kept, amounts)
    else:
        lost = [amount if kept.state == _CHARGED else 0 for *_, amount in kept.charges]
        moves = [
            (0, amount - charged, name, begin)
            for (name, _, begin, _), amount, charged in zip(kept.charges, amounts, lost, strict=True)
        ]
        connection.executemany(_MOVE, moves)
        connection.execute("DELETE FROM records WHERE id = ?", (_text(json.loads(kept.record)["id"]),))
    connection.execute(_END, (_SETTLED, kept.id))
    write(connection, record)


def release(connection: Connection, reservation: str, record: Record | None, time: float) -> None:
    """It has cost nothing; an id that is not known is remembered."""
    kept = find(connection, reservation)
    if kept is None:
        connection.execute(_BEGIN, (reservation, _RELEASED, time, 0.0, "[]", "unmade"))
    elif kept.state in (_HELD, _SENT):
        _move(connection, kept, [0] * len(kept.charges))
        connection.execute(_END, (_RELEASED, reservation))
    else:
        return
    if record is not None:
        write(connection, record)


def write(connection: Connection, record: Record, *, again: str = "REPLACE") -> None:
    """Write a row of the history.

    Args:
        connection: In a transaction.
        record: The row.
        again: What becomes of it if there is one of this id: ``"REPLACE"`` or ``"IGNORE"``.
    """
    row = to_row(record)
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT OR {again} INTO records ({COLUMNS}) VALUES ({marks})", row)  # noqa: S608 - fixed text


def tidy(connection: Connection, time: float) -> None:
    """Forget some reservations that have ended long ago."""
    connection.execute(_FORGET, (time - _KEEP, time - _KEEP_EXPIRED, time + 3600.0))


def _move(connection: Connection, kept: Kept, amounts: Sequence[int]) -> None:
    """From held to spent."""
    moves = [(-held, amount, name, begin) for (name, _, begin, held), amount in zip(kept.charges, amounts, strict=True)]
    connection.executemany(_MOVE, moves)


def _text(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
