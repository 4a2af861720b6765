"""What a ledger must do when it is asked to reserve."""

# ruff: noqa: S101, PLR2004 - these are tests

from __future__ import annotations

from typing import Literal

import pytest

from llmstack.errors import StoreError
from llmstack.stores import Balance, Bucket, Granted, Refused
from llmstack.testing._stores.rig import LedgerRig

__all__ = ["ReserveConformance"]


class ReserveConformance(LedgerRig):
    """Reserving and releasing."""

    def test_what_is_reserved_is_held(self) -> None:
        """And told at once."""
        assert self.reserve("a", self.charge(30)) == Granted((Balance(spent=0, held=30),))
        assert self.reserve("b", self.charge(20)) == Granted((Balance(spent=0, held=50),))
        assert self.balance() == (0, 50)

    def test_a_limit_is_reached_exactly(self) -> None:
        """Not one more."""
        assert self.reserve("a", self.charge(101)) == Refused(charge=0, balance=Balance(spent=0, held=0))
        assert isinstance(self.reserve("b", self.charge(100)), Granted)
        assert self.reserve("c", self.charge(1)) == Refused(charge=0, balance=Balance(spent=0, held=100))
        assert isinstance(self.reserve("d", self.charge(0)), Granted)
        assert self.balance() == (0, 100)

    def test_several_charges_are_reserved_all_or_none(self) -> None:
        """The first that does not fit is named."""
        refused = self.reserve(
            "a",
            self.charge(10, bucket="one"),
            self.charge(10, bucket="two", limit=9),
            self.charge(10, bucket="three", limit=5),
        )
        assert refused == Refused(charge=1, balance=Balance(spent=0, held=0))
        assert [self.balance(name) for name in ("one", "two", "three")] == [(0, 0)] * 3
        granted = self.reserve("a", self.charge(10, bucket="one"), self.charge(7, bucket="two", limit=9))
        assert granted == Granted((Balance(0, 10), Balance(0, 7)))

    def test_charges_on_one_bucket_are_added(self) -> None:
        """Each alone would fit."""
        refused = self.reserve("a", self.charge(60, begin=1000), self.charge(60, begin=2000))
        assert refused == Refused(charge=1, balance=Balance(spent=0, held=0))
        granted = self.reserve("a", self.charge(60, begin=1000), self.charge(40, begin=2000))
        assert granted == Granted((Balance(0, 100), Balance(0, 100)))

    def test_without_a_limit_it_is_only_counted(self) -> None:
        """Whatever the amount."""
        assert self.reserve("a", self.charge(10**12, limit=None)) == Granted((Balance(0, 10**12),))

    def test_a_reservation_without_charges_is_granted(self) -> None:
        """And settled."""
        assert self.reserve("a") == Granted(())
        assert self.settle("a") == ()
        assert [row.id for row in self.history()] == ["a"]

    def test_done_again_it_counts_once(self) -> None:
        """Also if it would not fit a second time."""
        self.reserve("a", self.charge(60))
        assert self.reserve("a", self.charge(60)) == Granted((Balance(spent=0, held=60),))
        self.settle("a", 50)
        assert self.reserve("a", self.charge(60)) == Granted((Balance(spent=50, held=0),))

    def test_what_was_refused_may_ask_again(self) -> None:
        """Under the same id."""
        self.reserve("a", self.charge(60))
        assert isinstance(self.reserve("b", self.charge(60)), Refused)
        self.release("a")
        assert isinstance(self.reserve("b", self.charge(60)), Granted)

    def test_buckets_do_not_mix(self) -> None:
        """Nor do the people they are for, whatever their names."""
        names = [
            "usd/day/user=ann",
            "usd/day/user=\N{LATIN SMALL LETTER A WITH RING ABOVE}nn",
            "x" * 500,
            "a'b\"%_*",
            "",
        ]
        for i, name in enumerate(names):
            assert isinstance(self.reserve(f"r{i}", self.charge(90 + i, bucket=name)), Granted)
        found = self.do(self.ledger.spent([Bucket(name, 0) for name in names]))
        assert [balance.held for balance in found] == [90, 91, 92, 93, 94]

    def test_a_rolling_window_counts_its_slices(self) -> None:
        """Old ones drop out."""
        for i, begin in enumerate((1000, 1060, 1120)):
            self.reserve(f"r{i}", self.charge(30, begin=begin))
        assert [self.balance(since=since)[1] for since in (0, 1000, 1001, 1060, 1120, 1121)] == [90, 90, 60, 60, 30, 0]
        refused = self.reserve("x", self.charge(50, begin=1120, since=1001))
        assert refused == Refused(charge=0, balance=Balance(spent=0, held=60))
        assert isinstance(self.reserve("x", self.charge(50, begin=1120, since=1061)), Granted)

    def test_large_amounts_are_exact(self) -> None:
        """A million dollars, in nano-dollars, and one."""
        much = 10**15 + 1
        self.reserve("a", self.charge(much, limit=2 * much))
        self.reserve("b", self.charge(much, limit=2 * much))
        assert isinstance(self.reserve("c", self.charge(1, limit=2 * much)), Refused)
        self.settle("a", much)
        assert self.balance() == (much, much)

    def test_nobody_overspends_at_the_same_time(self) -> None:
        """Of twenty who ask for 15 of 100 at once, six get it; and the others are refused rightly."""
        asked = [self.ledger.reserve(self.reservation(f"r{i}", self.charge(15))) for i in range(20)]
        found = self.do_at_once(asked)
        assert sum(isinstance(outcome, Granted) for outcome in found) == 6
        assert all(outcome.balance == Balance(0, 90) for outcome in found if isinstance(outcome, Refused))
        assert self.balance() == (0, 90)

    @pytest.mark.parametrize("sent", [False, True])
    def test_what_is_released_is_given_back(self, sent: bool) -> None:  # noqa: FBT001 - a parameter of the test
        """Once, without a row."""
        self.reserve("a", self.charge(60))
        self.reserve("b", self.charge(10))
        if sent:
            self.do(self.ledger.mark_sent("a"))
        self.release("a")
        self.release("a")
        assert self.balance() == (0, 10)
        assert self.history() == []

    def test_it_may_be_released_with_a_row(self) -> None:
        """It was sent, and cost nothing."""
        self.reserve("a", self.charge(60))
        row = self.row("a", outcome="error", status=503, cost=0)
        self.do(self.ledger.release("a", row))
        self.do(self.ledger.release("a", self.row("other")))
        assert self.history() == [row]

    def test_what_was_released_before_it_was_reserved_holds_nothing(self) -> None:
        """The reservation's message was slower."""
        self.release("a")
        assert self.reserve("a", self.charge(60)) == Granted((Balance(spent=0, held=0),))
        assert self.balance() == (0, 0)
        with pytest.raises(StoreError):
            self.settle("a", 10)

    def test_marking_as_sent_asks_nobody(self) -> None:
        """An id that is not known, or has ended, is no error."""
        self.do(self.ledger.mark_sent("nobody"))
        self.reserve("a", self.charge(60))
        self.release("a")
        self.do(self.ledger.mark_sent("a"))
        assert self.balance() == (0, 0)

    @pytest.mark.parametrize("how", ["settle", "release"])
    def test_who_ends_it_first_has_ended_it(self, how: Literal["settle", "release"]) -> None:
        """What comes after changes nothing."""
        self.reserve("a", self.charge(60))
        if how == "settle":
            self.settle("a", 40)
            self.release("a")
            assert self.balance() == (40, 0)
            assert len(self.history()) == 1
        else:
            self.release("a")
            assert self.settle("a", 40) == (Balance(spent=0, held=0),)
            assert self.balance() == (0, 0)
            assert self.history() == []
