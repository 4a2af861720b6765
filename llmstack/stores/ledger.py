"""The port behind budgets: accounts that are reserved before and settled after, and the record of what was spent.

A ledger knows nothing of prices, calendars or limits in words. It adds whole numbers (nano-dollars, tokens, calls) in
*slices* of *buckets*, and never lets a bucket exceed what a reservation allows. The life of a reservation:

    held -> sent -> settled | released | expired

Every operation is atomic, and idempotent by the reservation's id: done again it changes nothing. Each is a flow; see
`llmstack.stores.cache`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol, Self, runtime_checkable

from llmstack._core.effects import Flow

__all__ = ["Balance", "Bucket", "Charge", "Granted", "Ledger", "Record", "Refused", "Reservation", "State"]

_LONGEST_ID = 100

State = Literal["held", "sent", "settled", "released", "expired"]
"""The states of a reservation. ``held``: not sent yet; if its lease ends what it held is given back. ``sent``: if its
lease ends all of it is charged. Either is then ``expired``, until a late settlement says better. The other two are
final: what is settled is not released any more, and the reverse."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is added up: one limit, for one scope, over one window.

    Attributes:
        name: Which limit and for whom, such as ``"usd/day/user=ann"``; of at most 500 characters.
        since: Slices that begin before this are not counted: seconds since the epoch, whole.
    """

    name: str
    since: int


@dataclass(frozen=True, slots=True)
class Charge:
    """One bucket that a reservation draws on.

    Attributes:
        bucket: The bucket.
        slice: The slice that this is counted in, by its beginning: seconds since the epoch, whole. A calendar window is
            one slice; a rolling one is many, of which the oldest drop out one by one.
        limit: What the bucket may hold at most, spent and reserved together; None if it is only counted.
        amount: What is reserved. The amount, not negative.
        keep_until: When the slice may be forgotten, seconds since the epoch. Of several charges the latest counts.

    Raises:
        ValueError: If the amount is negative.
    """

    bucket: Bucket
    slice: int
    limit: int | None
    amount: int
    keep_until: int

    def __post_init__(self) -> None:
        """Refuse what would give money away."""
        if self.amount < 0:
            raise ValueError(f"a charge on {self.bucket.name!r} must not be negative, as {self.amount} is")


@dataclass(frozen=True, slots=True)
class Balance:
    """What a bucket holds.

    Attributes:
        spent: Settled, in all its counted slices.
        held: Reserved and not settled yet.
    """

    spent: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of the ledger's history: one attempt, or one answer that needed none. It holds no content and no key.

    Attributes:
        id: The reservation's id, or one of its own.
        call: The call's id.
        at: When it was begun, seconds since the epoch.
        endpoint: The API's name for it.
        model: The model asked for, as it was sent.
        answered_by: The model that answered, as the provider says.
        host: Where it went.
        tenant: On whose behalf; empty if on nobody's.
        tags: The program's labels.
        number: Which attempt of the call it was, from 1; 0 if nothing was sent.
        outcome: ``"ok"``, ``"error"``, ``"cancelled"``, ``"incomplete"``, ``"cached"`` or ``"expired"``.
        status: HTTP status; 0 if there was no answer.
        request_id: The provider's id of the request.
        tokens: By kind: ``input``, ``output``, ``cached``, ``reasoning``, ``input_audio``, ``output_audio``,
            ``input_image``; kinds of which there are none may be left out.
        cost: Nano-dollars; None if the price is not known.
        saved: Nano-dollars that a cached answer did not cost.
        reserved: Nano-dollars that were reserved for it.
        estimated: How the cost is known: empty if by the provider's own count, else ``"usage"`` (tokens were
            estimated), ``"reserved"`` (the outcome is unknown: all that was reserved is charged) or ``"price"`` (the
            price is a guess).
        latency: Seconds from sending to the end.
        notes: What else there is to say, such as ``{"degraded_from": "gpt-5"}``.
    """

    id: str
    call: str
    at: float
    endpoint: str
    model: str = ""
    answered_by: str = ""
    host: str = ""
    tenant: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    outcome: str = "ok"
    status: int = 0
    request_id: str = ""
    tokens: Mapping[str, int] = field(default_factory=dict)
    cost: int | None = None
    saved: int = 0
    reserved: int = 0
    estimated: Literal["", "usage", "reserved", "price"] = ""
    latency: float = 0.0
    notes: Mapping[str, str] = field(default_factory=dict)

    def expired(self, *, sent: bool) -> Self:
        """The row of a reservation whose lease has ended.

        Args:
            sent: True if it had been sent: then all that was reserved is charged. Else it has cost nothing.
        """
        if sent:
            return replace(self, outcome="expired", cost=self.reserved, estimated="reserved")
        return replace(self, outcome="expired", cost=0, estimated="")

    def as_dict(self) -> dict[str, Any]:
        """Itself as JSON: numbers, texts, and objects of these."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The reverse of `as_dict`; what this version does not know is passed over."""
        return cls(**{name: value for name, value in data.items() if name in _FIELDS})


_FIELDS = tuple(field.name for field in fields(Record))


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a request may cost at most, in every bucket that it draws on.

    Attributes:
        id: Unique, at most 100 ASCII characters; what is done again under the same id counts once.
        charges: What it draws on.
        lease: Seconds after which a reservation that nobody has settled or released ends by itself.
        record: What is known of the request now. If the lease ends this is its row, with the outcome ``"expired"``,
            and, if it was sent, its `reserved` as its cost.
        sent: True if it counts as sent from the beginning, because nothing lies between.

    Raises:
        ValueError: If the lease is not a finite number above 0, or the id is empty, too long or not ASCII.
    """

    id: str
    charges: tuple[Charge, ...]
    lease: float
    record: Record
    sent: bool = False

    def __post_init__(self) -> None:
        """Refuse what could never end."""
        if not (self.lease > 0 and math.isfinite(self.lease)):
            raise ValueError(f"a lease must be a finite number of seconds above 0, not {self.lease}")
        if not (self.id and len(self.id) <= _LONGEST_ID and self.id.isascii()):
            raise ValueError(f"a reservation's id has 1 to {_LONGEST_ID} ASCII characters; this one has {len(self.id)}")


@dataclass(frozen=True, slots=True)
class Granted:
    """The reservation is made.

    Attributes:
        balances: Of each charge's bucket, this reservation included.
    """

    balances: tuple[Balance, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The reservation would exceed a limit. Nothing has been reserved, in no bucket.

    Attributes:
        charge: Which of the charges does not fit (its place in `Reservation.charges`); the first one.
        balance: What that bucket holds.
    """

    charge: int
    balance: Balance


@runtime_checkable
class Ledger(Protocol):
    """Keeps accounts. Raises `llmstack.errors.StoreError` for whatever goes wrong; never guesses."""

    def reserve(self, reservation: Reservation) -> Flow[Granted | Refused]:
        """Reserve in all buckets or in none. Leases that have ended are settled on the way.

        A reservation whose id is known is not made again: it is granted, with the balances as they are. That holds also
        for an id that was released before it was reserved, which reserves nothing: a repetition that comes late must
        not hold for ever.
        """
        ...

    def mark_sent(self, reservation: str) -> Flow[None]:
        """The request is about to leave. Nothing happens if the reservation is not held any more, or is not known."""
        ...

    def settle(self, reservation: str, amounts: Sequence[int], record: Record) -> Flow[tuple[Balance, ...]]:
        """What it did cost takes the place of what was reserved. Also after its lease has ended: the row is corrected.

        Nothing happens if it is settled already, or was released.

        Args:
            reservation: Its id.
            amounts: For each charge of the reservation, in order; it may be more than was reserved.
            record: The row for the history.

        Returns:
            The balances of the charges' buckets afterwards, each counting the slices it counted when it was reserved.

        Raises:
            llmstack.errors.UnknownReservationError: If the reservation is not known, or was released before it was
                made (and so nothing could be counted).
            ValueError: If there are not as many amounts as charges, or one is negative.
        """
        ...

    def release(self, reservation: str, record: Record | None = None) -> Flow[None]:
        """It has cost nothing. Nothing happens if it is not held or sent; an id not known is remembered as released.

        Args:
            reservation: Its id.
            record: The row for the history; None for no row (it was never sent).
        """
        ...

    def add(self, record: Record) -> Flow[None]:
        """A row without a reservation, such as that of an answer from a cache. Nothing happens if its id is known."""
        ...

    def spent(self, buckets: Sequence[Bucket]) -> Flow[list[Balance]]:
        """What buckets hold now. Leases that have ended are settled before, also if no bucket is asked for."""
        ...

    def history(
        self, *, since: float = 0.0, until: float | None = None, after: str = "", limit: int = 1000
    ) -> Flow[list[Record]]:
        """Rows by time (`Record.at`, then `Record.id`), a page at a time.

        Args:
            since: Seconds since the epoch, from which on.
            until: Seconds since the epoch, before which; None for now and later.
            after: The id of the last row of the page before; empty for the first page.
            limit: Rows a page.

        Raises:
            llmstack.errors.StoreError: If the row `after` is not known: it was pruned meanwhile.
            ValueError: If the limit is less than 1.
        """
        ...

    def prune(self, before: float) -> Flow[int]:
        """Forget rows begun before this time (seconds since the epoch), and slices whose time is over.

        A slice in which something is held is never forgotten.

        Returns:
            How many rows there were.
        """
        ...

    def close(self) -> None:
        """Give back what is open. May be called again; a ledger that is used afterwards opens anew."""
        ...

    async def aclose(self) -> None:
        """The same in an async program."""
        ...
