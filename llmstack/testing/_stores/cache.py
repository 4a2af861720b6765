"""All that a cache must do."""

# ruff: noqa: S101, PLR2004 - these are tests

from __future__ import annotations

from llmstack.stores import CacheStore, Entry
from llmstack.testing._stores.rig import StoreRig

__all__ = ["CacheStoreConformance"]


class CacheStoreConformance(StoreRig):
    """What every `llmstack.stores.CacheStore` must do, as tests. Needs pytest.

    A subclass, whose name begins with ``Test``, has a fixture `store` that gives a new cache, empty and not used yet,
    with room for at least 1 MB. Each test runs in a sync program, on asyncio and on trio (where that is installed). The
    cache is closed after it. For `pass_time` and `lease` see `LedgerConformance`.
    """

    cache: CacheStore

    def use(self, store: CacheStore) -> None:
        """Take the cache that is to be tested."""
        self.cache = store

    def entry(self, value: bytes = b"{}", *, fresh: float = 100.0, keep: float = 200.0) -> Entry:
        """An entry that is fresh and kept for so many seconds from now on."""
        now = self.clock.time()
        return Entry(value, stored_at=now, fresh_until=now + fresh, keep_until=now + keep)

    def keep(self, tenant: str = "", /, **entries: Entry) -> None:
        """Store entries."""
        self.do(self.cache.set(entries, tenant=tenant))

    def there(self, *keys: str) -> list[bool]:
        """Which of these are there."""
        return [found is not None for found in self.do(self.cache.get(keys))]

    def test_what_is_kept_comes_back_as_it_was(self) -> None:
        """In the order that it is asked for."""
        a, b = self.entry(b'{"a": 1}', fresh=0.125), self.entry("\N{SNOWMAN}\0".encode())
        self.keep(a=a, b=b)
        assert self.do(self.cache.get(["b", "nobody", "a", "b"])) == [b, None, a, b]
        assert self.do(self.cache.get([])) == []

    def test_a_large_entry_comes_back_whole(self) -> None:
        """Under a long key."""
        key, entry = "k" * 200, self.entry(b"x" * 300_000)
        self.keep(**{key: entry})
        assert self.do(self.cache.get([key])) == [entry]

    def test_the_later_takes_the_place_of_the_earlier(self) -> None:
        """Whoever it is from."""
        self.keep("ann", a=self.entry(b"1"))
        self.keep("bob", a=(later := self.entry(b"2")))
        assert self.do(self.cache.get(["a"])) == [later]
        assert self.do(self.cache.stats()).entries == 1
        assert self.do(self.cache.purge("ann")) == 0
        assert self.do(self.cache.purge("bob")) == 1

    def test_to_keep_nothing_is_nothing(self) -> None:
        """No error."""
        self.keep()
        assert self.do(self.cache.stats()).entries == 0

    def test_what_is_forgotten_is_counted(self) -> None:
        """What was there, that is."""
        self.keep(a=self.entry(), b=self.entry(), c=self.entry())
        assert self.do(self.cache.delete(["a", "nobody", "c"])) == 2
        assert self.do(self.cache.delete(["a"])) == 0
        assert self.there("a", "b", "c") == [False, True, False]

    def test_an_entry_is_kept_as_long_as_it_says(self) -> None:
        """Also when it is no longer fresh, and no longer."""
        short, long = self.lease, 3 * self.lease
        self.keep(a=self.entry(fresh=short / 2, keep=short), b=self.entry(fresh=short / 2, keep=long))
        assert self.there("a", "b") == [True, True]
        self.pass_time(short + 0.01)
        assert self.there("a", "b") == [False, True]
        assert self.do(self.cache.stats()).entries == 1
        assert self.do(self.cache.delete(["a", "b"])) == 1

    def test_what_is_over_is_not_kept(self) -> None:
        """And takes the place of what was."""
        self.keep(a=self.entry())
        self.keep(a=self.entry(fresh=-2, keep=-1))
        assert self.there("a") == [False]

    def test_a_tenant_is_purged_alone(self) -> None:
        """And everybody together."""
        for tenant in ("ann", "bob", "", "an%"):
            self.keep(tenant, **{f"{tenant}-1": self.entry(), f"{tenant}-2": self.entry()})
        assert self.do(self.cache.purge("ann")) == 2
        assert self.there("ann-1", "ann-2", "bob-1", "-1", "an%-1") == [False, False, True, True, True]
        assert self.do(self.cache.purge("")) == 2
        assert self.do(self.cache.purge("an%")) == 2
        assert self.there("bob-1", "-1") == [True, False]
        assert self.do(self.cache.purge()) == 2
        assert self.do(self.cache.purge()) == 0
        assert self.do(self.cache.stats()).entries == 0

    def test_it_tells_what_it_holds(self) -> None:
        """Its values at least."""
        assert self.do(self.cache.stats()).bytes == 0
        self.keep(a=self.entry(b"x" * 5000), b=self.entry(b"x" * 3000))
        found = self.do(self.cache.stats())
        assert found.entries == 2
        assert 8000 <= found.bytes <= 16_000
        assert found.evicted == 0

    def test_a_lease_is_one_owners(self) -> None:
        """Who may renew it."""
        assert self.do(self.cache.lease("k", "one", self.lease))
        assert not self.do(self.cache.lease("k", "two", self.lease))
        assert self.do(self.cache.lease("k", "one", self.lease))
        assert self.do(self.cache.lease("another", "two", self.lease))

    def test_a_lease_is_given_back_by_its_owner(self) -> None:
        """By nobody else."""
        assert self.do(self.cache.lease("k", "one", self.lease))
        self.do(self.cache.unlease("k", "two"))
        self.do(self.cache.unlease("nobody's", "two"))
        assert not self.do(self.cache.lease("k", "two", self.lease))
        self.do(self.cache.unlease("k", "one"))
        assert self.do(self.cache.lease("k", "two", self.lease))

    def test_a_lease_ends_by_itself(self) -> None:
        """Unless it is renewed."""
        assert self.do(self.cache.lease("k", "one", self.lease))
        assert self.do(self.cache.lease("renewed", "one", self.lease))
        self.pass_time(self.lease / 2)
        assert self.do(self.cache.lease("renewed", "one", self.lease))
        self.pass_time(self.lease / 2 + 0.01)
        assert self.do(self.cache.lease("k", "two", self.lease))
        assert not self.do(self.cache.lease("renewed", "two", self.lease))

    def test_a_lease_goes_to_one_of_many(self) -> None:
        """Who ask at the same time."""
        found = self.do_at_once([self.cache.lease("k", f"owner-{i}", self.lease) for i in range(10)])
        assert sorted(found) == [False] * 9 + [True]

    def test_many_use_it_at_the_same_time(self) -> None:
        """Each finds what it kept."""
        entries = {f"k{i}": self.entry(str(i).encode()) for i in range(20)}
        self.do_at_once([self.cache.set({key: entry}, tenant="") for key, entry in entries.items()])
        assert self.do_at_once([self.cache.get([key]) for key in entries]) == [[entry] for entry in entries.values()]

    def test_it_may_be_used_after_it_was_closed(self) -> None:
        """It opens anew."""
        self.keep(a=self.entry())
        self.cache.close()
        self.cache.close()
        self.keep(b=self.entry())
        assert self.there("b") == [True]
