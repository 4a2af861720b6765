"""The cache in Redis: an entry is a string with a TTL; an index by tenant is for `purge`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final

import redis.exceptions

from llmstack.effects import Flow, now
from llmstack.errors import StoreError
from llmstack.stores import CacheStats, Entry
from llmstack_redis.envelope import HEAD, owner, pack, unpack, whose
from llmstack_redis.fault import explained
from llmstack_redis.link import Link, whole
from llmstack_redis.script import read_script

__all__ = ["RedisCache"]

_PAGE: Final = 50
"""Keys that are worked on at once: more would hold up an event loop, or Redis."""

_SCRIPTS: Final = ("entries", "index", "indexed", "unindex", "lease", "unlease")

_LONGEST: Final = 10 * 365 * 86_400.0
"""Seconds; Redis takes no endless time."""


class RedisCache:
    """Entries shared by all that use the same Redis and prefix. For any number of threads and event loops.

    What it may take is Redis's own setting; an entry larger than ``max_entry_bytes`` is not kept.
    """

    def __init__(self, link: Link) -> None:
        """Open nothing yet.

        Args:
            link: The way to Redis.
        """
        self._link = link
        self._prefix = f"{link.settings.prefix}:cache:"
        self._tenants = f"{link.settings.prefix}:tenant:"
        self._leases = f"{link.settings.prefix}:lease:"
        self._scripts = {name: read_script(name) for name in _SCRIPTS}  # now, not in an event loop
        self._most = HEAD + link.settings.max_entry_bytes

    def get(self, keys: Sequence[str]) -> Flow[list[Entry | None]]:
        """See `llmstack.stores.CacheStore.get`."""
        if not keys:
            return []
        time = yield from now()
        strings = yield from self._strings([self._prefix + key for key in keys])
        found: list[Entry | None] = []
        bad: list[str] = []
        for key, data in zip(keys, strings, strict=True):
            entry = unpack(data) if data and len(data) <= self._most else None
            if entry is None and data != b"":
                bad.append(key)
            found.append(entry if entry is not None and entry.keep_until > time else None)
        if bad:
            with contextlib.suppress(StoreError):  # it is a miss all the same
                yield from self.delete(bad)
        return found

    def set(self, entries: Mapping[str, Entry], *, tenant: str) -> Flow[None]:
        """See `llmstack.stores.CacheStore.set`."""
        time = yield from now()
        who = owner(tenant)
        ends: list[Any] = []
        commands: list[tuple[Any, ...]] = []
        for key, entry in entries.items():
            left = math.ceil(min(entry.keep_until - time, _LONGEST) * 1000)
            if left <= 0 or len(entry.value) > self._link.settings.max_entry_bytes:
                commands.append(("UNLINK", self._prefix + key))  # what is there is not what was to be kept
            else:
                ends += (round(time * 1000) + left, key)
                commands.append(("SET", self._prefix + key, pack(entry, who), "PX", left))
        if ends:
            # The index first: an entry that it does not know would outlive a purge.
            yield from self._script("index", self._tenants + who.hex(), round(time * 1000), *ends)
        if commands:
            _checked((yield from self._link.ask(*commands)))

    def delete(self, keys: Sequence[str]) -> Flow[int]:
        """See `llmstack.stores.CacheStore.delete`."""
        return (yield from self._unlink([self._prefix + key for key in keys]))

    def purge(self, tenant: str | None = None) -> Flow[int]:
        """See `llmstack.stores.CacheStore.purge`."""
        if tenant is None:
            count = 0
            for pattern in (self._prefix, self._tenants):
                for shard in (yield from self._link.shards()):
                    found = yield from self._each(shard, pattern, self._unlink)
                    count += found if pattern == self._prefix else 0
            return count
        who, count = owner(tenant), 0
        index = self._tenants + who.hex()
        while members := (yield from self._script("indexed", index, _PAGE)):
            keys = [self._prefix + name.decode() for name in members[1::2]]
            heads = yield from self._link.ask(*(("GETRANGE", key, 0, HEAD - 1) for key in keys))
            theirs = [key for key, head in zip(keys, heads, strict=True) if whose(_string(head) or b"") == who]
            count += yield from self._unlink(theirs)
            yield from self._script("unindex", index, *members)
        return count

    def stats(self) -> Flow[CacheStats]:
        """See `llmstack.stores.CacheStore.stats`. It looks at every key: not for a hot path."""
        entries = size = 0

        def measure(keys: Sequence[str]) -> Flow[int]:
            nonlocal entries, size
            lengths = yield from self._link.ask(*(("STRLEN", key) for key in keys))
            for key, length in zip(keys, lengths, strict=True):
                if isinstance(length, int) and length:
                    entries += 1
                    size += length + len(key)
            return 0

        for shard in (yield from self._link.shards()):
            yield from self._each(shard, self._prefix, measure)
        return CacheStats(entries=entries, bytes=size)

    def lease(self, key: str, owner: str, seconds: float) -> Flow[bool]:
        """See `llmstack.stores.CacheStore.lease`."""
        milliseconds = max(1, math.ceil(min(seconds, _LONGEST) * 1000))
        return bool((yield from self._script("lease", self._leases + key, owner, milliseconds)))

    def unlease(self, key: str, owner: str) -> Flow[None]:
        """See `llmstack.stores.CacheStore.unlease`."""
        yield from whole(lambda: self._script("unlease", self._leases + key, owner))

    def close(self) -> None:
        """See `llmstack.stores.CacheStore.close`."""
        self._link.close()

    async def aclose(self) -> None:
        """See `llmstack.stores.CacheStore.aclose`."""
        await self._link.aclose()

    def _strings(self, names: Sequence[str]) -> Flow[list[bytes | None]]:
        """What is at some keys; None where it is no string.

        One byte more than there may be tells what is too large, and no more than that is fetched of it.
        """
        if len(names) == 1 or self._link.settings.kind == "cluster":
            replies = yield from self._link.ask(*(("GETRANGE", name, 0, self._most) for name in names))
            return [_string(reply) for reply in replies]
        # As one command they cost redis-py, and Redis, a fraction of as many. In a cluster they are on several nodes.
        until = monotonic() + self._link.settings.timeout
        found: list[bytes | None] = []
        for i in range(0, len(names), _PAGE):
            page = tuple(names[i : i + _PAGE])
            found += yield from self._scripts["entries"].run(self._link, page, (self._most,), until=until)
        return found

    def _script(self, name: str, key: str, *arguments: Any) -> Flow[Any]:
        return self._scripts[name].run(self._link, (key,), arguments)

    def _unlink(self, keys: Sequence[str]) -> Flow[int]:
        count = 0
        for i in range(0, len(keys), _PAGE):
            replies = yield from self._link.ask(*(("UNLINK", key) for key in keys[i : i + _PAGE]))
            count += sum(_checked(replies))
        return count

    def _each(self, shard: str, prefix: str, work: Any) -> Flow[int]:
        """Work on all keys that begin so, some at a time; the sum of what it returns."""
        cursor, count = 0, 0
        while True:
            command = ("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _PAGE)
            ((cursor, keys),) = _checked((yield from self._link.ask(command, shard=shard)))
            if keys:
                count += yield from work([key.decode() for key in keys])
            if not int(cursor):  # a client of a cluster has made a number of it
                return count


def _string(reply: Any) -> bytes | None:
    """What was read of a string; None if there is something else at the key."""
    if isinstance(reply, redis.exceptions.ResponseError) and "WRONGTYPE" in str(reply):
        return None
    found: bytes = _checked([reply])[0]
    return found


def _checked(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, BaseException):
            raise explained(reply) from reply
    return replies
