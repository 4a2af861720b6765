"""What a ledger must do with reservations that nobody ends."""

# ruff: noqa: S101 - these are tests

from __future__ import annotations

from llmstack.stores import Balance, Granted
from llmstack.testing._stores.rig import LedgerRig

__all__ = ["LeaseConformance"]


class LeaseConformance(LedgerRig):
    """Leases that end by themselves."""

    def orphan(self, key: str = "a", *, sent: bool = False, marked: bool = False) -> None:
        """A reservation of 60 whose owner is gone."""
        self.reserve(key, self.charge(60), sent=sent)
        if marked:
            self.do(self.ledger.mark_sent(key))

    def test_a_lease_holds_until_its_end(self) -> None:
        """Not less."""
        self.orphan()
        self.pass_time(self.lease / 2)
        assert self.balance() == (0, 60)

    def test_what_was_not_sent_is_given_back(self) -> None:
        """Its row says so."""
        self.orphan()
        self.pass_time(self.lease + 0.01)
        assert self.balance() == (0, 0)
        [row] = self.history()
        assert (row.id, row.outcome, row.cost, row.reserved, row.estimated) == ("a", "expired", 0, 60, "")

    def test_what_was_sent_is_charged_whole(self) -> None:
        """Nobody knows what it did cost."""
        self.orphan("a", marked=True)
        self.pass_time(self.lease + 0.01)
        assert self.balance() == (60, 0)
        [row] = self.history()
        assert (row.id, row.outcome, row.cost, row.reserved, row.estimated) == ("a", "expired", 60, 60, "reserved")

    def test_it_may_count_as_sent_from_the_beginning(self) -> None:
        """Without a mark."""
        self.orphan(sent=True)
        self.pass_time(self.lease + 0.01)
        assert self.balance() == (60, 0)

    def test_who_reserves_settles_the_leases_that_have_ended(self) -> None:
        """And so nobody is refused for the sake of a dead process."""
        self.orphan()
        self.pass_time(self.lease + 0.01)
        assert self.reserve("b", self.charge(100)) == Granted((Balance(0, 100),))

    def test_to_ask_for_nothing_settles_them_too(self) -> None:
        """For reports."""
        self.orphan(marked=True)
        self.pass_time(self.lease + 0.01)
        assert self.do(self.ledger.spent([])) == []
        assert [row.outcome for row in self.history()] == ["expired"]

    def test_each_has_a_lease_of_its_own(self) -> None:
        """The shorter ends first."""
        self.do(self.ledger.reserve(self.reservation("long", self.charge(30), lease=3 * self.lease)))
        self.do(self.ledger.reserve(self.reservation("short", self.charge(20), lease=self.lease)))
        self.pass_time(1.5 * self.lease)
        assert self.balance() == (0, 30)

    def test_a_late_settlement_corrects_what_was_charged(self) -> None:
        """There is one row, the right one."""
        self.orphan(sent=True)
        self.pass_time(self.lease + 0.01)
        assert self.balance() == (60, 0)
        assert self.settle("a", 45, outcome="ok") == (Balance(45, 0),)
        assert self.settle("a", 45, outcome="ok") == (Balance(45, 0),)
        assert [(row.outcome, row.cost, row.estimated) for row in self.history()] == [("ok", 45, "")]

    def test_a_late_settlement_may_have_a_row_of_its_own(self) -> None:
        """The one of the lease is gone all the same."""
        self.orphan(sent=True)
        self.pass_time(self.lease + 0.01)
        assert self.balance() == (60, 0)
        self.do(self.ledger.settle("a", [45], self.row("another", cost=45)))
        assert [(row.id, row.cost) for row in self.history()] == [("another", 45)]

    def test_a_late_settlement_counts_what_was_given_back(self) -> None:
        """It was sent after all, by a process that was held up."""
        self.orphan()
        self.pass_time(self.lease + 0.01)
        assert self.balance() == (0, 0)
        self.do(self.ledger.mark_sent("a"))
        assert self.balance() == (0, 0)
        assert self.settle("a", 45) == (Balance(45, 0),)
        assert [row.cost for row in self.history()] == [45]

    def test_a_settlement_that_comes_before_the_sweep_is_in_time(self) -> None:
        """Nobody has looked at the lease meanwhile."""
        self.orphan(sent=True)
        self.pass_time(self.lease + 0.01)
        assert self.settle("a", 45) == (Balance(45, 0),)
        assert [row.outcome for row in self.history()] == ["ok"]

    def test_a_late_release_changes_nothing(self) -> None:
        """To take back what was charged one settles for nothing."""
        self.orphan(sent=True)
        self.pass_time(self.lease + 0.01)
        assert self.balance() == (60, 0)
        self.release("a")
        assert self.balance() == (60, 0)
        assert self.settle("a", 0) == (Balance(0, 0),)

    def test_one_that_is_known_as_expired_is_not_made_again(self) -> None:
        """Its id was used."""
        self.orphan(sent=True)
        self.pass_time(self.lease + 0.01)
        assert self.reserve("a", self.charge(60)) == Granted((Balance(60, 0),))

    def test_what_has_ended_in_time_does_not_expire(self) -> None:
        """It has no lease any more."""
        self.orphan("a", sent=True)
        self.settle("a", 10)
        self.orphan("b", sent=True)
        self.release("b")
        self.pass_time(self.lease + 0.01)
        assert self.balance() == (10, 0)
        assert [row.outcome for row in self.history()] == ["ok"]
