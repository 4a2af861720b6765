"""A ledger against a model of one: whatever is done to it, in whatever order, both agree."""

# ruff: noqa: S101 - this is a test

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmstack.effects import Flow, drive
from llmstack.errors import StoreError
from llmstack.stores import Balance, Bucket, Charge, Granted, Ledger, Refused, Reservation
from llmstack.testing._stores.rig import row as new_row
from llmstack.testing.clock import FakeClock

__all__ = ["LedgerMachine"]

T = TypeVar("T")

_BUCKETS = ("calls", "usd/day/user=ann")
_BEGINS = (0, 60, 120)
_LIMITS = (None, 100, 250)
_FAR = 10**11
_UNKNOWN = "unknown"


_ids = st.sampled_from([f"r{i}" for i in range(6)])
_charges = st.lists(
    st.builds(
        Charge,
        bucket=st.builds(Bucket, st.sampled_from(_BUCKETS), st.sampled_from(_BEGINS)),
        slice=st.sampled_from(_BEGINS),
        limit=st.sampled_from(_LIMITS),
        amount=st.integers(0, 130),
        keep_until=st.just(_FAR),
    ),
    max_size=3,
).map(tuple)
_amounts = st.lists(st.integers(0, 200), min_size=3, max_size=3)


@dataclass
class _Held:
    """What the model knows of a reservation."""

    charges: tuple[Charge, ...]
    state: str
    end: float = 0.0


@dataclass
class _Model:
    """A ledger as one would write it down: every question is answered by adding up all there is."""

    held: dict[str, _Held] = field(default_factory=dict)
    spent: list[tuple[str, str, int, int]] = field(default_factory=list)  # reservation, bucket, slice, amount
    rows: dict[str, tuple[str, int | None]] = field(default_factory=dict)  # outcome and cost

    def balance(self, bucket: Bucket) -> Balance:
        spent = sum(a for _, name, begin, a in self.spent if name == bucket.name and begin >= bucket.since)
        held = sum(
            charge.amount
            for reservation in self.held.values()
            if reservation.state in ("held", "sent")
            for charge in reservation.charges
            if charge.bucket.name == bucket.name and charge.slice >= bucket.since
        )
        return Balance(spent, held)

    def balances(self, charges: tuple[Charge, ...]) -> tuple[Balance, ...]:
        return tuple(self.balance(charge.bucket) for charge in charges)

    def charge(self, key: str, amounts: list[int]) -> None:
        self.spent = [one for one in self.spent if one[0] != key]
        for charge, amount in zip(self.held[key].charges, amounts, strict=True):
            self.spent.append((key, charge.bucket.name, charge.slice, amount))

    def sweep(self, time: float) -> None:
        for key, held in self.held.items():
            if held.state in ("held", "sent") and held.end <= time:
                amounts = [charge.amount if held.state == "sent" else 0 for charge in held.charges]
                self.charge(key, amounts)
                self.rows[key] = ("expired", sum(amounts))
                held.state = "expired"

    def refusal(self, charges: tuple[Charge, ...]) -> Refused | None:
        for i, charge in enumerate(charges):
            own = sum(other.amount for other in charges[: i + 1] if other.bucket.name == charge.bucket.name)
            found = self.balance(charge.bucket)
            if charge.limit is not None and found.spent + found.held + own > charge.limit:
                return Refused(i, found)
        return None


class LedgerMachine(RuleBasedStateMachine):
    """Hypothesis does whatever it likes to a ledger, and to a simple model of one; they must always agree.

    Needs hypothesis. A subclass says how to `open` a new ledger; its ``TestCase`` is what pytest runs::

        class Machine(LedgerMachine):
            def open(self):
                return open_store("redis://localhost/0").ledger()


        TestMachine = Machine.TestCase

    A ledger that has a clock of its own overrides `pass_time`.

    Attributes:
        clock: The time of the test.
        lease: Seconds of all leases.
    """

    lease: float = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.model = _Model()
        self.ledger = self.open()

    def open(self) -> Ledger:
        """A new ledger, empty. To be overridden."""
        raise NotImplementedError(f"{type(self).__name__} must define open(), which gives a new, empty ledger")

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def teardown(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def do(self, flow: Flow[T]) -> T:
        """Run a flow."""
        return drive(flow, clock=self.clock)

    @rule(key=_ids, charges=_charges, sent=st.booleans())
    def reserve(self, key: str, charges: tuple[Charge, ...], sent: bool) -> None:  # noqa: FBT001 - drawn by name
        """Reserve, perhaps again."""
        record = new_row(key, reserved=sum(charge.amount for charge in charges))
        found = self.do(self.ledger.reserve(Reservation(key, charges, self.lease, record, sent)))
        self.model.sweep(self.clock.monotonic())
        expected: Granted | Refused | None = None
        if key not in self.model.held:
            expected = self.model.refusal(charges)
            if expected is None:
                end = self.clock.monotonic() + self.lease
                self.model.held[key] = _Held(charges, "sent" if sent else "held", end)
        assert found == (expected or Granted(self.model.balances(charges)))

    @rule(key=_ids)
    def mark_sent(self, key: str) -> None:
        """Send."""
        self.do(self.ledger.mark_sent(key))
        held = self.model.held.get(key)
        if held is not None and held.state == "held":
            held.state = "sent"

    @rule(key=_ids, amounts=_amounts)
    def settle(self, key: str, amounts: list[int]) -> None:
        """Settle, perhaps again, late, or what is not known."""
        held = self.model.held.get(key)
        if held is None or held.state == _UNKNOWN:
            try:
                self.do(self.ledger.settle(key, amounts, new_row(key)))
            except StoreError:
                return
            raise AssertionError("what is not known was settled")
        paid = amounts[: len(held.charges)]
        found = self.do(self.ledger.settle(key, paid, new_row(key, cost=sum(paid))))
        if held.state not in ("settled", "released"):
            held.state = "settled"
            self.model.charge(key, paid)
            self.model.rows[key] = ("ok", sum(paid))
        assert found == self.model.balances(held.charges)

    @rule(key=_ids, row=st.booleans())
    def release(self, key: str, row: bool) -> None:  # noqa: FBT001 - drawn by name
        """Release, perhaps again, or before it is reserved."""
        self.do(self.ledger.release(key, new_row(key, outcome="error", cost=0) if row else None))
        held = self.model.held.get(key)
        if held is None:
            self.model.held[key] = _Held((), _UNKNOWN)
        elif held.state in ("held", "sent"):
            held.state = "released"
        else:
            return
        if row:
            self.model.rows[key] = ("error", 0)

    @rule(key=st.sampled_from(["x", "y"]))
    def add(self, key: str) -> None:
        """A row of its own."""
        self.do(self.ledger.add(new_row(key, outcome="cached", cost=0)))
        self.model.rows.setdefault(key, ("cached", 0))

    @rule(part=st.sampled_from([0.4, 1.0]))
    def time_passes(self, part: float) -> None:
        """Perhaps so much that leases end."""
        self.pass_time(self.lease * part)

    @rule(name=st.sampled_from(_BUCKETS), since=st.sampled_from(_BEGINS))
    def ask(self, name: str, since: int) -> None:
        """What a bucket holds."""
        [found] = self.do(self.ledger.spent([Bucket(name, since)]))
        self.model.sweep(self.clock.monotonic())
        assert found == self.model.balance(Bucket(name, since))

    @rule()
    def prune(self) -> None:
        """All rows; nothing that counts."""
        assert self.do(self.ledger.prune(_FAR)) == len(self.model.rows)
        self.model.rows.clear()

    @rule()
    def close(self) -> None:
        """It opens anew when it is used."""
        self.ledger.close()

    @invariant()
    def the_history_is_what_happened(self) -> None:
        """Row by row."""
        found = self.do(self.ledger.history())
        assert {row.id: (row.outcome, row.cost) for row in found} == self.model.rows
