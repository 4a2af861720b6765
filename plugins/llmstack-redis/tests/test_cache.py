"""What is Redis's own in the cache; what every cache must do is in the conformance suite."""

import time

import pytest

from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import Entry
from llmstack_redis.envelope import HEAD, owner, pack, unpack, whose


def entry(value=b'{"a":1}', keep=100.0):
    """An entry of now."""
    now = time.time()
    return Entry(value, now, now + keep / 2, now + keep)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b" ",
        lambda data: data[:50] + b"X" + data[51:],
        lambda data: b"LSR2" + data[4:],
        lambda data: data[: HEAD - 1],
        lambda data: b"{}",
        lambda data: data[:24] + b"\x7f\xf8" + data[26:],
    ],
)
def test_a_damaged_or_foreign_entry_is_a_miss_and_is_dropped(books, server, damage):
    """Whatever happened to it."""
    drive(books.cache.set({"key": entry()}, tenant="t"))
    with server.admin() as admin:
        admin.set(books.cached("key"), damage(admin.get(books.cached("key"))))
        assert drive(books.cache.get(["key"])) == [None]
        assert not admin.exists(books.cached("key"))


def test_another_kind_of_value_is_a_miss_and_is_dropped(books, server):
    """A list at an entry's key."""
    with server.admin() as admin:
        admin.lpush(books.cached("key"), "one")
        assert drive(books.cache.get(["key"])) == [None]
        assert not admin.exists(books.cached("key"))


def test_an_oversized_entry_is_neither_kept_nor_fetched(url, open_books, server):
    """What was there before goes, too: it is not what was to be kept."""
    books = open_books(url, max_entry_bytes=1000)
    fits, large = entry(b"x" * 1000), entry(b"x" * 1001)
    drive(books.cache.set({"key": fits}, tenant=""))
    assert drive(books.cache.get(["key"])) == [fits]
    drive(books.cache.set({"key": large}, tenant=""))
    assert drive(books.cache.get(["key"])) == [None]
    with server.admin() as admin:
        admin.set(books.cached("key"), pack(entry(b"x" * 500_000), owner("")))
        before = admin.info("stats")["total_net_output_bytes"]
        assert drive(books.cache.get(["key"])) == [None]
        assert admin.info("stats")["total_net_output_bytes"] - before < 100_000
        assert not admin.exists(books.cached("key"))


def test_many_are_fetched_at_once_whatever_is_among_them(url, open_books, server):
    """What is missing, too large, damaged or no string at all is a miss by itself; scripts may be lost."""
    books = open_books(url, max_entry_bytes=1000)
    good = {f"key {i}": entry(b"%d" % i) for i in range(120)}
    drive(books.cache.set(good, tenant=""))
    with server.admin() as admin:
        admin.script_flush()
        admin.delete(books.cached("key 7"))
        admin.set(books.cached("key 8"), b"no entry")
        admin.set(books.cached("key 70"), pack(entry(b"x" * 500_000), owner("")))
        admin.delete(books.cached("key 119"))
        admin.lpush(books.cached("key 119"), "one")
        lost = ("key 7", "key 8", "key 70", "key 119")
        before = admin.info("stats")["total_net_output_bytes"]
        assert drive(books.cache.get(list(good))) == [None if key in lost else one for key, one in good.items()]
        assert admin.info("stats")["total_net_output_bytes"] - before < 100_000
        assert admin.exists(*map(books.cached, good)) == 116
        assert drive(books.cache.get(["key 1", "key 1"])) == [good["key 1"]] * 2


def test_an_error_that_tells_nothing_of_an_entry_is_told(books, server):
    """One of many that may not be read makes none of them a miss, and drops none."""
    drive(books.cache.set({"one": entry(), "two": entry()}, tenant=""))
    with server.admin() as admin:
        admin.acl_setuser("default", enabled=True, commands=["-getrange"])
        try:
            with pytest.raises(StoreError):
                drive(books.cache.get(["one", "two"]))
        finally:
            admin.acl_setuser("default", enabled=True, commands=["+getrange"])
        assert admin.exists(books.cached("one"), books.cached("two")) == 2


def test_entries_end_by_themselves(books, server):
    """Redis forgets them, and the index with them."""
    drive(books.cache.set({"one": entry(keep=50), "two": entry(keep=100)}, tenant="t"))
    drive(books.cache.set({"three": entry(keep=20)}, tenant="t"))
    index = books.cached(owner("t").hex(), "tenant")
    with server.admin() as admin:
        assert 49_000 < admin.pttl(books.cached("one")) <= 50_000
        assert 99_000 < admin.pttl(index) <= 100_001
        assert admin.zcard(index) == 3
        assert {key for key in admin.keys(f"{books.prefix}:*") if admin.ttl(key) < 0} == set()


def test_the_index_drops_what_has_ended(books, server):
    """Some with each set."""
    index = books.cached(owner("t").hex(), "tenant")
    with server.admin() as admin:
        admin.zadd(index, {f"old {i}": 1000 + i for i in range(50)})
        for i in range(3):
            drive(books.cache.set({f"new {i}": entry()}, tenant="t"))
        assert admin.zcard(index) == 3


def test_purging_a_tenant_leaves_others_alone(books):
    """However many there are."""
    drive(books.cache.set({f"a{i}": entry() for i in range(120)}, tenant="a"))
    drive(books.cache.set({f"b{i}": entry() for i in range(7)}, tenant="b"))
    drive(books.cache.set({"a0": entry(b"b's")}, tenant="b"))  # a key that came to another
    assert drive(books.cache.purge("a")) == 119
    assert drive(books.cache.purge("a")) == 0
    assert drive(books.cache.stats()).entries == 8
    assert drive(books.cache.purge()) == 8
    assert drive(books.cache.purge()) == 0


def test_purging_all_touches_no_other_prefix_and_no_ledger(books, server, open_books):
    """Only this cache."""
    other = open_books(server.url)
    for each in (books, other):
        drive(each.cache.set({"key": entry()}, tenant="a"))
        each.reserve("one")
    assert drive(books.cache.purge()) == 1
    assert drive(other.cache.get(["key"])) != [None]
    assert books.spent() == (0, 10)


def test_stats_measure_what_is_there(books, server):
    """Bytes with keys; things of others under the prefix do not count."""
    drive(books.cache.set({f"key{i}": entry(b"x" * 10) for i in range(60)}, tenant="a"))
    with server.admin() as admin:
        admin.lpush(books.cached("list"), "one")
    stats = drive(books.cache.stats())
    assert stats.entries == 60
    assert stats.bytes == sum(HEAD + 10 + len(books.cached(f"key{i}")) for i in range(60))


def test_a_tenants_name_is_not_in_redis(books, server):
    """It may be personal."""
    drive(books.cache.set({"key": entry()}, tenant="jane@example.com"))
    with server.admin() as admin:
        assert [key for key in admin.keys("*") if b"jane" in key] == []
        assert b"jane" not in admin.get(books.cached("key"))


def test_an_envelope_gives_back_what_was_put_in():
    """Byte for byte, to the last digit of its times."""
    given = Entry(b"\x00\xff" * 100, 1.1, 2.2, 3.3)
    data = pack(given, owner("a"))
    assert unpack(data) == given
    assert whose(data[:HEAD]) == owner("a") != owner("")
    assert whose(b"something else, long enough to hold a head of it") == b""


def test_a_lease_is_its_owners(books, server):
    """Nobody else's release or renewal touches it."""
    assert drive(books.cache.lease("key", "me", 30.0))
    assert not drive(books.cache.lease("key", "you", 30.0))
    drive(books.cache.unlease("key", "you"))
    with server.admin() as admin:
        assert 29_000 < admin.pttl(books.cached("key", "lease")) <= 30_000
        assert drive(books.cache.lease("key", "me", 90.0))
        assert admin.pttl(books.cached("key", "lease")) > 80_000
        drive(books.cache.unlease("key", "me"))
        assert drive(books.cache.lease("key", "you", 0.01))
        time.sleep(0.02)
        assert drive(books.cache.lease("key", "me", 1.0))


def test_a_cache_whose_leases_were_taken_by_another_program_says_so(books, server):
    """What is at the key is left alone."""
    with server.admin() as admin:
        admin.lpush(books.cached("key", "lease"), "one")
        with pytest.raises(StoreError, match="prefix"):
            drive(books.cache.lease("key", "me", 1.0))
        assert admin.llen(books.cached("key", "lease")) == 1
