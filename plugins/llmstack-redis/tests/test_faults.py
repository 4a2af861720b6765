"""What goes wrong with Redis: an error that says what to do, soon, and nothing is counted twice."""

import contextlib
import pickle
import socket
import threading
import time

import anyio
import pytest

from llmstack.errors import StoreError
from llmstack.stores import Entry, Granted


def entry():
    """An entry of now."""
    now = time.time()
    return Entry(b"{}", now, now + 50, now + 100)


@contextlib.contextmanager
def fails(words, within=0.25):
    """An error of the store's that gives nothing away; and sooner than redis-py by itself, which waits 5 seconds."""
    begun = time.monotonic()
    with pytest.raises(StoreError, match=words) as caught:
        yield
    assert time.monotonic() - begun < within + 3
    assert caught.value.store == "redis"
    assert "hunter2" not in str(pickle.loads(pickle.dumps(caught.value)))


def every_operation(books):
    """All that a store can be asked."""
    row = books.record("one")
    return {
        "reserve": books.ledger.reserve(books.reservation("two")),
        "mark_sent": books.ledger.mark_sent("one"),
        "settle": books.ledger.settle("one", [1], row),
        "release": books.ledger.release("one"),
        "add": books.ledger.add(row),
        "spent": books.ledger.spent([books.bucket]),
        "history": books.ledger.history(),
        "prune": books.ledger.prune(0.0),
        "get": books.cache.get(["key", "other"]),
        "set": books.cache.set({"key": entry()}, tenant="t"),
        "delete": books.cache.delete(["key"]),
        "purge": books.cache.purge(),
        "purge one": books.cache.purge("t"),
        "stats": books.cache.stats(),
        "lease": books.cache.lease("key", "me", 1.0),
        "unlease": books.cache.unlease("key", "me"),
    }


async def test_a_redis_that_is_down(own_server, open_books, do):
    """And comes back."""
    books = open_books(own_server.url)
    await do(books.cache.get(["key"]))
    own_server.stop()
    for flow in every_operation(books).values():
        with fails("Redis cannot be reached"):
            await do(flow)
    own_server.start()
    assert await do(books.cache.get(["key"])) == [None]


async def test_a_redis_that_is_hung(own_server, open_books, do):
    """Each operation ends in time, and all work again when it does."""
    books = open_books(own_server.url, timeout=0.1)
    await do(books.ledger.reserve(books.reservation("one")))
    with own_server.hung():
        for name in ("reserve", "settle", "get", "spent"):
            with fails("did not answer in time", 0.1):
                await do(every_operation(books)[name])
    for name, flow in every_operation(books).items():
        if name not in ("settle", "release"):
            await do(flow)


async def test_a_redis_that_is_hung_from_the_beginning(own_server, open_books, do):
    """The system takes the connection, and no greeting is answered."""
    books = open_books(f"redis://:hunter2hunter2@127.0.0.1:{own_server.port}/3", timeout=0.1)
    with own_server.hung(), fails("did not answer in time", 0.1):
        await do(books.ledger.spent([books.bucket]))


async def test_a_redis_that_drips(proxy, open_books, do):
    """Byte by byte: each comes in time, all together do not."""
    books = open_books(proxy.url, timeout=0.2)
    await do(books.cache.set({"key": Entry(b"x" * 1000, 1.0, time.time() + 50, time.time() + 100)}, tenant=""))
    proxy.drip = 0.005
    with fails("did not answer in time", 0.2):
        await do(books.cache.get(["key"]))


@pytest.mark.parametrize("name", ["reserve", "settle", "release", "add"])
async def test_what_was_done_although_its_reply_was_lost_counts_once(proxy, open_books, do, name):
    """It is sent twice, and no more than that."""
    books = open_books(proxy.url, timeout=0.5)
    await do(books.ledger.reserve(books.reservation("one")))
    await do(books.ledger.reserve(books.reservation("two")))  # now Redis knows the script
    charge = {"reserve": (0, 30), "settle": (7, 10), "release": (0, 10), "add": (0, 20)}[name]
    flow = {
        "reserve": books.ledger.reserve(books.reservation("three")),
        "settle": books.ledger.settle("one", [7], books.record("one")),
        "release": books.ledger.release("one", books.record("one")),
        "add": books.ledger.add(books.record("four")),
    }[name]
    for other in (
        books.ledger.settle("no", [1], books.record("no")),
        books.ledger.release("none"),
        books.ledger.history(),
    ):
        with contextlib.suppress(StoreError):
            await do(other)
    await do(books.ledger.add(books.record("known script")))
    proxy.heard.clear()
    proxy.lose = 1
    await do(flow)
    assert proxy.lose == 0
    assert proxy.commands(b"EVALSHA") == 2
    (balance,) = await do(books.ledger.spent([books.bucket]))
    assert (balance.spent, balance.held) == charge
    rows = [row.id for row in await do(books.ledger.history())]
    assert len(rows) == len(set(rows)) == (1 if name == "reserve" else 2)


async def test_no_more_than_two_attempts_are_made(proxy, open_books, do):
    """redis-py by itself would make eleven."""
    books = open_books(proxy.url, timeout=0.2)
    await do(books.cache.get(["key"]))
    proxy.heard.clear()
    proxy.lose = 100
    with fails("did not answer in time", 0.2):
        await do(books.cache.get(["key"]))
    proxy.lose = 0
    assert proxy.commands(b"GETRANGE") == 2
    assert await do(books.cache.get(["key"])) == [None]


async def test_no_reply_is_taken_for_another_commands(proxy, open_books, do):
    """A connection on which one is still to come is not used again."""
    books = open_books(proxy.url, timeout=0.3)
    entries = {f"k{i}": Entry(str(i).encode(), 1.0, time.time() + 50, time.time() + 100) for i in range(5)}
    await do(books.cache.set(entries, tenant=""))
    for i in range(5):
        proxy.lose = i % 2
        (found,) = await do(books.cache.get([f"k{i}"]))
        assert found.value == str(i).encode()


async def test_scripts_that_redis_has_forgotten_are_sent_again(books, own_server, open_books, do):
    """After a restart with persistence, or SCRIPT FLUSH."""
    books = open_books(own_server.url)
    for i in range(3):
        assert isinstance(await do(books.ledger.reserve(books.reservation(f"r{i}"))), Granted)
        with own_server.admin() as admin:
            admin.script_flush()


async def test_a_read_only_replica(own_server, open_books, do):
    """What changes anything fails, and says where to go."""
    books = open_books(own_server.url)
    await do(books.ledger.reserve(books.reservation("one")))
    with own_server.admin() as admin:
        admin.replicaof("127.0.0.1", 1)
    for name in ("reserve", "mark_sent", "settle", "release", "add", "set", "delete", "lease"):
        with fails("read-only replica"):
            await do(every_operation(books)[name])


async def test_a_redis_that_is_full(own_server, open_books, do):
    """What would take room fails; what is there can be read."""
    books = open_books(own_server.url)
    await do(books.ledger.reserve(books.reservation("one")))
    with own_server.admin() as admin:
        admin.config_set("maxmemory-policy", "noeviction")
        admin.config_set("maxmemory", "1mb")
    for name in ("reserve", "settle", "add", "set", "lease"):
        with fails("Redis is full"):
            await do(every_operation(books)[name])
    assert (await do(books.ledger.spent([books.bucket])))[0].held == 10
    assert await do(books.cache.get(["key"])) == [None]


async def test_a_redis_that_cannot_write_to_its_disk(make_server, open_books, do):
    """It refuses changes."""
    server = make_server("--enable-protected-configs", "yes")
    books = open_books(server.url)
    await do(books.ledger.reserve(books.reservation("one")))
    with server.admin() as admin:
        admin.config_set("save", "3600 1")
        (server.folder / "taken.rdb").mkdir()
        admin.config_set("dbfilename", "taken.rdb")
        admin.bgsave()
        for _ in range(250):
            if admin.info("persistence")["rdb_last_bgsave_status"] == "err":
                break
            await anyio.sleep(0.02)
    with fails("cannot write its data to disk"):
        await do(books.ledger.reserve(books.reservation("two")))
    server.stop()


@pytest.mark.parametrize("login", [":hunter2hunter2", "jane:hunter2hunter2", ""])
async def test_a_wrong_password(make_server, open_books, do, login):
    """Or none. The error quotes no password."""
    server = make_server()
    with server.admin() as admin:
        admin.config_set("requirepass", "right")
    at = f"{login}@" if login else ""
    books = open_books(f"redis://{at}127.0.0.1:{server.port}/0")
    with fails("does not let this program in|asks for a password"):
        await do(books.ledger.reserve(books.reservation("one")))
    with fails("does not let this program in|asks for a password"):
        await do(books.cache.get(["key", "other"]))
    right = open_books(f"redis://:right@127.0.0.1:{server.port}/0")
    await do(right.ledger.reserve(right.reservation("one")))
    server.stop()


async def test_a_user_who_may_not(own_server, open_books, do):
    """By Redis's own access lists."""
    with own_server.admin() as admin:
        admin.acl_setuser("jane", enabled=True, passwords=["+hunter2"], keys=["other:*"], commands=["+@all"])
    books = open_books(f"redis://jane:hunter2@127.0.0.1:{own_server.port}/0")
    for name in ("reserve", "get", "set", "lease"):
        with fails("does not let this user"):
            await do(every_operation(books)[name])


async def test_a_key_of_another_program(books, server, do):
    """It is left alone."""
    with server.admin() as admin:
        admin.set(books.kept("accounts"), "theirs")
        with fails("prefix"):
            await do(books.ledger.reserve(books.reservation("one")))
        assert admin.get(books.kept("accounts")) == b"theirs"


async def test_something_that_is_no_redis(open_books, do):
    """It answers, but not so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        with contextlib.suppress(OSError):
            while True:
                near = listener.accept()[0]
                with near:
                    near.recv(1000)
                    near.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    books = open_books(f"redis://127.0.0.1:{listener.getsockname()[1]}")
    try:
        with fails("Redis refused the operation|cannot be reached"):
            await do(books.cache.get(["key"]))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
