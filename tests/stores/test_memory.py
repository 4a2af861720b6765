"""The store in memory."""

import pytest

from llmstack.stores import open_store
from llmstack.testing import CacheStoreConformance, LedgerConformance


class TestCache(CacheStoreConformance):
    """What every cache must do."""

    @pytest.fixture
    def store(self):
        """A new one."""
        return open_store("memory://").cache()


class TestLedger(LedgerConformance):
    """What every ledger must do."""

    @pytest.fixture
    def store(self):
        """A new one."""
        return open_store("memory://").ledger()
