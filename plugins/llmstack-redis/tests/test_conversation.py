"""Commands go over redis-py's connections, past its clients."""

import pytest
import redis
import redis.asyncio
import redis.exceptions

from llmstack.effects import drive
from llmstack_redis import conversation


async def test_what_is_wrapped_around_redis_pys_clients_hears_of_no_command(open_books, server, do, monkeypatch):
    """Programs that trace Redis do so; with each command they tell its key."""
    heard = []

    def wrap(kind, name):
        inner = getattr(kind, name)

        def wrapped(self, *arguments, **options):
            heard.append(arguments)
            return inner(self, *arguments, **options)

        monkeypatch.setattr(kind, name, wrapped)

    for package in (redis, redis.asyncio):
        wrap(package.Redis, "execute_command")
        wrap(package.client.Pipeline, "execute")
    books = open_books(server.url)
    assert await do(books.cache.get(["key"])) == [None]
    assert await do(books.cache.lease("key", "me", 1.0))
    assert await do(books.ledger.add(books.record("one"))) is None
    assert [row.id for row in await do(books.ledger.history())] == ["one"]
    assert heard == []
    with server.admin() as admin:
        admin.ping()
    assert heard == [("PING",)]


async def test_an_error_is_the_reply_to_one_command_and_the_connection_stays(open_books, url, do):
    """As Redis means it: it has read the command, and reads the next."""
    link = open_books(url).cache._link  # noqa: SLF001 - what is tested
    (first,) = await do(link.ask(("CLIENT", "ID")))
    number, wrong, echo = await do(link.ask(("CLIENT", "ID"), ("NO-SUCH-COMMAND",), ("ECHO", "three")))
    assert number == first
    assert isinstance(wrong, redis.exceptions.ResponseError)
    assert echo == b"three"


def test_replies_that_nobody_has_read_are_not_taken_for_those_of_the_next(open_books, url, monkeypatch):
    """Whatever strikes between two replies, the connection is not used again."""
    link = open_books(url).cache._link  # noqa: SLF001 - what is tested
    drive(link.ask(("PING",)))

    def interrupted(connection):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(conversation, "_reply", interrupted)
        with pytest.raises(KeyboardInterrupt):
            drive(link.ask(("ECHO", "one"), ("ECHO", "two")))
    assert drive(link.ask(("ECHO", "three"))) == [b"three"]
