"""What every store must do."""

import pytest
from hypothesis import settings

from llmstack.stores import open_store
from llmstack.testing import CacheStoreConformance, LedgerConformance, LedgerMachine


class TestCache(CacheStoreConformance):
    """The cache. Redis has a clock of its own, which cannot be moved: what ends by it is brought nearer."""

    @pytest.fixture
    def store(self, server, new_prefix):
        """Under a prefix that nobody has used."""
        self.server, self.prefix = server, new_prefix()
        return open_store(f"{server.url}?timeout=10&prefix={self.prefix}").cache()

    def pass_time(self, seconds):
        """For all of it."""
        super().pass_time(seconds)
        self.server.age(self.prefix, seconds)


class TestLedger(LedgerConformance):
    """The ledger."""

    @pytest.fixture
    def store(self, server, new_prefix):
        """Under a prefix that nobody has used."""
        self.server, self.prefix = server, new_prefix()
        return open_store(f"{server.url}?timeout=10&prefix={self.prefix}").ledger()

    def pass_time(self, seconds):
        """For all of it."""
        super().pass_time(seconds)
        self.server.age(self.prefix, seconds)


def test_whatever_is_done_in_whatever_order_it_agrees_with_a_model(server, new_prefix):
    """By hypothesis."""

    class Machine(LedgerMachine):
        def open(self):
            self.prefix = new_prefix()
            return open_store(f"{server.url}?timeout=10&prefix={self.prefix}").ledger()

        def pass_time(self, seconds):
            super().pass_time(seconds)
            server.age(self.prefix, seconds)

    case = Machine.TestCase
    case.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    case().runTest()
