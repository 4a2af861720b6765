"""What a ledger must do when a reservation is settled."""

# ruff: noqa: S101, PLR2004 - these are tests

from __future__ import annotations

import pytest

from llmstack.errors import StoreError
from llmstack.stores import Balance, Granted, Refused
from llmstack.testing._stores.rig import LedgerRig

__all__ = ["SettleConformance"]


class SettleConformance(LedgerRig):
    """Settling."""

    def test_what_it_cost_takes_the_place_of_what_was_reserved(self) -> None:
        """In each bucket."""
        self.reserve("a", self.charge(60, bucket="one"), self.charge(5, bucket="two"))
        self.do(self.ledger.mark_sent("a"))
        assert self.settle("a", 45, 0) == (Balance(45, 0), Balance(0, 0))
        assert (self.balance("one"), self.balance("two")) == ((45, 0), (0, 0))

    def test_it_need_not_have_been_marked_as_sent(self) -> None:
        """The mark is for orphans only."""
        self.reserve("a", self.charge(60))
        assert self.settle("a", 45) == (Balance(45, 0),)

    def test_it_may_cost_more_than_was_reserved(self) -> None:
        """It is spent, and so it is counted, beyond the limit if need be."""
        self.reserve("a", self.charge(60))
        assert self.settle("a", 130) == (Balance(130, 0),)
        assert self.reserve("b", self.charge(0)) == Refused(charge=0, balance=Balance(130, 0))

    def test_what_was_not_needed_is_free_again(self) -> None:
        """At once."""
        self.reserve("a", self.charge(100))
        self.settle("a", 10)
        assert self.reserve("b", self.charge(90)) == Granted((Balance(10, 90),))

    def test_done_again_it_counts_once(self) -> None:
        """Also with another amount."""
        self.reserve("a", self.charge(60))
        self.settle("a", 45)
        assert self.settle("a", 50) == (Balance(45, 0),)
        assert [row.cost for row in self.history()] == [45]

    def test_it_is_counted_in_the_slice_where_it_was_reserved(self) -> None:
        """And its balances count what they counted then."""
        self.reserve("old", self.charge(30, begin=1000))
        self.settle("old", 30)
        self.reserve("a", self.charge(60, begin=1060, since=1001))
        assert self.settle("a", 45) == (Balance(45, 0),)
        assert (self.balance(), self.balance(since=1060), self.balance(since=1061)) == ((75, 0), (45, 0), (0, 0))

    def test_what_is_not_known_cannot_be_settled(self) -> None:
        """It is not known where to count it."""
        with pytest.raises(StoreError, match="nobody"):
            self.settle("nobody", 10)
        assert self.history() == []

    @pytest.mark.parametrize("amounts", [(), (1, 2), (-1,)])
    def test_amounts_must_fit(self, amounts: tuple[int, ...]) -> None:
        """Or nothing happens."""
        self.reserve("a", self.charge(60))
        with pytest.raises(ValueError, match=r"amounts|negative"):
            self.settle("a", *amounts)
        assert self.balance() == (0, 60)
        assert self.settle("a", 10) == (Balance(10, 0),)

    def test_nothing_is_lost_when_many_settle_at_the_same_time(self) -> None:
        """Each is counted once, though each settles twice."""
        keys = [f"r{i}" for i in range(8)]
        self.do_at_once([self.ledger.reserve(self.reservation(key, self.charge(10))) for key in keys])
        found = self.do_at_once([self.ledger.settle(key, [7], self.row(key)) for key in keys for _ in range(2)])
        assert max(balance.spent for (balance,) in found) == 56
        assert self.balance() == (56, 0)
        assert sorted(row.id for row in self.history()) == keys
