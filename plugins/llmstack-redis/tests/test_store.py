"""How the store is found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import llmstack_redis
from llmstack import Stack
from llmstack.effects import drive
from llmstack.stores import open_store
from llmstack_redis.store import RedisStore

HOSTS = {"redis+unix": "/tmp/none.sock", "redis+sentinel": "h/main", "rediss+sentinel": "h/main"}  # noqa: S108


@pytest.mark.parametrize("scheme", llmstack_redis.SCHEMES)
def test_each_scheme_is_found_by_the_url_alone(scheme):
    """By the package's entry points; opening does no I/O."""
    assert isinstance(open_store(f"{scheme}://{HOSTS.get(scheme, 'h')}"), RedisStore)


def test_a_stack_with_the_plugin_offers_it():
    """As any plugin's."""
    stack = Stack([llmstack_redis])
    assert list(stack.plugins) == ["redis"]
    assert isinstance(stack.open_store("redis://h"), RedisStore)


def test_neither_the_store_nor_its_parts_show_where_redis_is():
    """A URL may hold a password."""
    store = open_store("redis://user:not-a-key@host.example.com")
    for thing in (store, store.cache(), store.ledger()):
        assert "example" not in repr(thing)


def test_importing_the_plugin_imports_no_redis():
    """It costs nothing until a store is opened."""
    code = "import sys, llmstack_redis; print([m for m in ('redis', 'openai', 'asyncio') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_it_uses_nothing_of_llmstack_that_is_private():
    """What it needs anybody may use."""
    files = list(Path(llmstack_redis.__file__).parent.rglob("*.py"))
    assert len(files) > 10
    private = re.compile(r"^\s*(?:from|import)\s+llmstack\.\w*\.?_\w+", re.MULTILINE)
    assert [file.name for file in files if private.search(file.read_text("utf-8"))] == []


def test_what_was_closed_may_be_used_again(books):
    """It connects anew."""
    books.reserve("one")
    books.store.close()
    books.store.close()
    assert books.spent() == (0, 10)
    books.ledger.close()
    books.cache.close()
    assert drive(books.cache.get(["key"])) == [None]
