"""Ledgers against a model."""

import tempfile

from hypothesis import settings

from llmstack.stores import open_store
from llmstack.testing import LedgerMachine


class _Memory(LedgerMachine):
    def open(self):
        return open_store("memory://").ledger()


class _Sqlite(LedgerMachine):
    def open(self):
        self.folder = tempfile.TemporaryDirectory()
        return open_store(f"sqlite:///{self.folder.name}/llm.db").ledger()

    def teardown(self):
        super().teardown()
        self.folder.cleanup()


TestMemory = _Memory.TestCase
TestSqlite = _Sqlite.TestCase
TestSqlite.settings = settings(max_examples=30, stateful_step_count=40)
