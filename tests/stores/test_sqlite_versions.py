"""A SQLite file says what it is, and an older one is brought up step by step."""

import pytest

from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import open_store
from llmstack.stores._sqlite.schema import CACHE, LEDGER
from tests.stores.broken_files import connected, written


@pytest.mark.parametrize("schema", [LEDGER, CACHE], ids=lambda schema: schema.what)
def test_a_file_says_what_it_is(tmp_path, cache, ledger, schema):
    """In its header."""
    drive(cache.stats())
    drive(ledger.spent([]))
    with connected(tmp_path / ("llm.db" if schema is LEDGER else "llm-cache.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (schema.application_id,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.steps),)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_older_file_is_brought_up_step_by_step(tmp_path, monkeypatch):
    """What is in it stays; who knows only the older one says so."""
    path = tmp_path / "llm.db"
    written(path)
    from dataclasses import replace

    newer = replace(LEDGER, steps=(*LEDGER.steps, ("CREATE TABLE more (x)", "INSERT INTO more VALUES (1)")))
    monkeypatch.setattr("llmstack.stores.sqlite.LEDGER", newer)
    ledger = open_store(f"sqlite:///{path}").ledger()
    assert len(drive(ledger.history())) == 50
    ledger.close()
    with connected(path) as connection:
        assert connection.execute("SELECT x FROM more").fetchall() == [(1,)]
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    """All of a step or nothing."""
    path = tmp_path / "llm.db"
    written(path)
    from dataclasses import replace

    broken = replace(LEDGER, steps=(*LEDGER.steps, ("CREATE TABLE more (x)", "INSERT INTO nowhere VALUES (1)")))
    monkeypatch.setattr("llmstack.stores.sqlite.LEDGER", broken)
    with pytest.raises(StoreError):
        drive(open_store(f"sqlite:///{path}").ledger().spent([]))
    monkeypatch.undo()
    ledger = open_store(f"sqlite:///{path}").ledger()
    assert len(drive(ledger.history())) == 50
    ledger.close()
