"""The store in SQLite files."""

import pytest

from llmstack.stores import open_store
from llmstack.testing import CacheStoreConformance, LedgerConformance


class TestCache(CacheStoreConformance):
    """What every cache must do."""

    @pytest.fixture
    def store(self, tmp_path):
        """In a new file."""
        return open_store(f"sqlite:///{tmp_path}/llm.db").cache()


class TestLedger(LedgerConformance):
    """What every ledger must do."""

    @pytest.fixture
    def store(self, tmp_path):
        """In a new file."""
        return open_store(f"sqlite:///{tmp_path}/llm.db").ledger()
