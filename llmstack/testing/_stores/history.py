"""What a ledger must do with its history."""

# ruff: noqa: S101, PLR2004 - these are tests

from __future__ import annotations

import pytest

from llmstack.errors import StoreError
from llmstack.stores import Bucket, Charge, Record
from llmstack.testing._stores.rig import LedgerRig

__all__ = ["HistoryConformance"]


class HistoryConformance(LedgerRig):
    """Rows, pages, pruning."""

    def rows(self, *times: float) -> None:
        """Rows of these times, added in this order: r0, r1 and so on."""
        for i, at in enumerate(times):
            self.do(self.ledger.add(self.row(f"r{i}", at=at)))

    def test_a_row_comes_back_as_it_was(self) -> None:
        """All of it."""
        row = Record(
            id="r",
            call="call-1",
            at=1_700_000_000.123,
            endpoint="chat.completions",
            model="gpt-5-mini",
            answered_by="gpt-5-mini-2025-08-07",
            host="api.example.com",
            tenant="t\N{LATIN SMALL LETTER E WITH ACUTE}",
            tags={"user": "ann", "f\N{LATIN SMALL LETTER U WITH DIAERESIS}r": "\N{SNOWMAN} 'quoted\" \\ text\n"},
            number=2,
            outcome="error",
            status=503,
            request_id="req_1",
            tokens={"input": 12, "output": 10**12},
            cost=1_234_567_890_123,
            saved=7,
            reserved=2_000_000_000_000,
            estimated="usage",
            latency=0.25,
            notes={"degraded_from": "gpt-5"},
        )
        self.do(self.ledger.add(row))
        unknown = self.row("s", at=row.at + 1, cost=None)
        self.do(self.ledger.add(unknown))
        assert self.history() == [row, unknown]

    def test_a_row_is_added_once(self) -> None:
        """Its id is known then."""
        self.do(self.ledger.add(self.row("r", cost=1)))
        self.do(self.ledger.add(self.row("r", cost=2)))
        assert [row.cost for row in self.history()] == [1]

    def test_rows_come_by_time_and_then_by_id(self) -> None:
        """However they were added."""
        self.rows(3.0, 1.0, 2.0, 1.0)
        assert [row.id for row in self.history()] == ["r1", "r3", "r2", "r0"]

    def test_a_span_includes_its_beginning_and_not_its_end(self) -> None:
        """So that spans that follow each other share no row."""
        self.rows(1.0, 2.0, 3.0)
        assert [row.id for row in self.history(since=1.0, until=3.0)] == ["r0", "r1"]
        assert [row.id for row in self.history(since=1.5)] == ["r1", "r2"]
        assert self.history(since=3.5) == []

    def test_pages_follow_each_other(self) -> None:
        """No row twice, none left out, also among those of one time."""
        self.rows(*[1.0] * 5, *[2.0] * 5)
        found: list[str] = []
        while page := self.history(after=found[-1] if found else "", limit=3):
            assert len(page) <= 3
            found += [row.id for row in page]
        assert found == [f"r{i}" for i in range(10)]
        assert [row.id for row in self.history(after="r3", until=2.0)] == ["r4"]
        assert [row.id for row in self.history(after="r1", since=2.0, limit=2)] == ["r5", "r6"]

    def test_a_page_after_a_row_that_is_gone_is_an_error(self) -> None:
        """Rather than to begin anew, or to leave rows out."""
        self.rows(1.0)
        with pytest.raises(StoreError, match="r9"):
            self.history(after="r9")

    def test_a_page_has_rows(self) -> None:
        """At least one."""
        with pytest.raises(ValueError, match="0"):
            self.history(limit=0)

    def test_old_rows_are_pruned(self) -> None:
        """What was spent stays spent."""
        self.fill(40)
        self.rows(2000.0, 3000.0)
        assert self.do(self.ledger.prune(2500.0)) == 2
        assert [row.id for row in self.history()] == ["r1"]
        assert self.do(self.ledger.prune(2500.0)) == 0
        assert self.balance() == (40, 0)

    def test_slices_whose_time_is_over_are_pruned(self) -> None:
        """Not before, and not while something is held in them."""
        over = int(self.clock.time()) - 10
        charges = [
            Charge(Bucket("over", 0), 1000, None, 5, keep_until=over),
            Charge(Bucket("kept", 0), 1000, None, 5, keep_until=over + 10**6),
        ]
        self.reserve("a", *charges)
        self.settle("a", 5, 5)
        self.reserve("b", Charge(Bucket("held", 0), 1000, None, 5, keep_until=over))
        self.do(self.ledger.prune(0.0))
        assert [self.balance(name) for name in ("over", "kept", "held")] == [(0, 0), (5, 0), (0, 5)]
