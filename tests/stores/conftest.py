"""What the tests of the stores share: a store in a new file, its cache and its ledger."""

import pytest

from llmstack.stores import open_store


@pytest.fixture
def store(tmp_path):
    """A store in a new file."""
    return open_store(f"sqlite:///{tmp_path}/llm.db")


@pytest.fixture
def cache(store):
    """Its cache."""
    found = store.cache()
    yield found
    found.close()


@pytest.fixture
def ledger(store):
    """Its ledger."""
    found = store.ledger()
    yield found
    found.close()
