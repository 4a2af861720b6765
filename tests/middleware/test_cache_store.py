"""A store that fails, or holds what it should not, is as good as none: no call feels it."""

from __future__ import annotations

import json
import logging
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.middleware._cache.entry import LARGEST, origin, packed, unpacked
from llmstack.middleware.cache import Cache, CacheHit, CacheStored
from llmstack.stores import Entry, open_store
from llmstack.testing import LocalServer
from tests.core.side import Side
from tests.middleware.cache_rig import BrokenStore, Desk

DOWN = StoreError("the store at 127.0.0.1 does not answer", store="redis")


def test_it_is_bounded_by_bytes(side: Side, server: LocalServer, url: str) -> None:
    """What does not fit goes."""
    desk = Desk(side, server, store=url, max_bytes=5_000)

    async def program() -> Any:
        for seed in range(20):
            await desk.ask(seed=seed)
        return await desk.cache.astats() if side.asynchronous else desk.cache.stats()

    stats = desk.run(program)
    assert 0 < stats.bytes <= 5_000
    assert stats.evicted > 0


@pytest.mark.parametrize(
    "error", [DOWN, ConnectionError("private words"), RuntimeError("private words"), KeyError("x")]
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_store_that_is_down_is_a_miss(
    side: Side,
    server: LocalServer,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    stream: bool,  # noqa: FBT001
) -> None:
    """Each call is answered; the log is warned once a minute, without quoting what is not ours."""
    store = BrokenStore(error)
    desk = Desk(side, server, store=store)

    async def program() -> None:
        for _ in range(3):
            answer = await desk.ask(stream=stream)
            if stream:
                await side.read(answer)
            desk.clock.advance(25)

    with caplog.at_level(logging.WARNING, "llmstack"):
        desk.run(program)
    assert desk.sent == 3
    assert len(desk.of(CacheStored)) == len(desk.of(CacheHit)) == 0
    told = [record.getMessage() for record in caplog.records if record.name == "llmstack"]
    assert len(told) == 1
    assert type(error).__name__ in told[0]
    assert "private words" not in told[0]
    assert ("does not answer" in told[0]) == (error is DOWN)


def test_a_store_that_is_down_is_left_alone_for_a_while(server: LocalServer) -> None:
    """One that hangs must not hold up every call; it is asked again after half a second, then 1, 2, 4 and 5 seconds."""
    store = BrokenStore(DOWN)
    side = Side("sync")
    desk = Desk(side, server, store=store)

    async def program() -> None:
        await desk.ask()
        for pause in (0.5, 1, 2, 4, 5, 5):
            asked = len(store.asked)
            desk.clock.advance(pause - 0.01)
            await desk.ask()
            assert len(store.asked) == asked
            desk.clock.advance(0.01)
            await desk.ask()
            assert len(store.asked) > asked

    desk.run(program)


@pytest.mark.parametrize("broken", ["set", "lease", "unlease", "delete"])
def test_a_store_that_can_only_be_read_still_serves(
    side: Side, server: LocalServer, tmp_path: Path, broken: str
) -> None:
    """As a Redis that has become a read-only replica."""
    store: Any = open_store(f"sqlite:///{tmp_path}/cache.db").cache()
    desk = Desk(side, server, store=store)

    def flow(*_: Any, **__: Any) -> Any:
        raise DOWN
        yield

    async def program() -> None:
        await desk.ask()
        setattr(store, broken, flow)
        await desk.ask()
        assert desk.sent == 1
        await desk.ask(seed=1)
        await desk.ask()
        assert desk.sent == 2

    desk.run(program)


WHOLE = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
CHECK = re.compile(rb'("check":")[0-9a-f]{8}(",)(.*)', re.DOTALL)


def sealed(value: bytes) -> bytes:
    """An entry that was changed, with a checksum that is right."""
    return CHECK.sub(lambda found: b"%b%08x%b%b" % (found[1], zlib.crc32(found[3]), found[2], found[3]), value)


WRONG: dict[str, Any] = {
    "nothing": lambda key, value: b"",
    "no text": lambda key, value: b"\xff\xfe",
    "no json": lambda key, value: b"{" + value,
    "half": lambda key, value: value[: len(value) // 2],
    "damaged": lambda key, value: value.replace(b'"assistant"', b'"assisTant"'),
    "damaged at its end": lambda key, value: value[:-1] + b"]",
    "a checksum that is none": lambda key, value: CHECK.sub(rb"\1-000000a\2\3", value),
    "a pickle": lambda key, value: b"cos\nsystem\n(S'true'\ntR.",
    "null": lambda key, value: b"null",
    "a list": lambda key, value: b"[" + value + b"]",
    "nested": lambda key, value: b"[" * 10_000 + b"]" * 10_000,
    "another version": lambda key, value: value.replace(b'"version":2', b'"version":1'),
    "an entry of the first version": lambda key, value: (
        b'{"version":1,"key":"%b","request_id":"","streamed":false,"body":' % key.encode()
        + value.partition(b',"body":')[2]
    ),
    "another key": lambda key, value: sealed(value.replace(key.encode(), b"c2:" + b"0" * 48)),
    "no answer": lambda key, value: packed(key, b"{}", origin(None, streamed=False)),
    "no text of an answer": lambda key, value: packed(key, b"{", origin(None, streamed=False)),
    "an empty answer": lambda key, value: packed(key, json.dumps(WHOLE).encode(), origin(None, streamed=False)),
    "cut short": lambda key, value: sealed(value.replace(b'"stop"', b'"length"')),
    "a header in it": lambda key, value: sealed(value.replace(b'"request_id":"', b'"request_id":"a\\r\\nx: y')),
    "a number for an id": lambda key, value: sealed(re.sub(rb'"request_id":"[^"]*"', b'"request_id":1', value)),
    "no body": lambda key, value: sealed(value.replace(b'"body":', b'"b":')),
    "a head that is none": lambda key, value: sealed(value.replace(b'"streamed":', b'"streamed"')),
    "spaces": lambda key, value: sealed(value.replace(b'"body":', b'"body" :')),
    "too large": lambda key, value: sealed(value[:-1] + b" " * LARGEST + b"}"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_entry_that_is_none_is_a_miss_and_is_dropped(side: Side, server: LocalServer, wrong: str) -> None:
    """Damaged, foreign, too large: nothing of it is used, and a good one takes its place."""
    store = open_store("memory://").cache()
    desk = Desk(side, server, store=store)

    async def program() -> None:
        await desk.ask()
        spoil()
        await desk.ask()
        assert desk.sent == 2
        await desk.ask()
        assert desk.sent == 2

    def spoil() -> None:
        (key,) = store._table  # type: ignore[attr-defined] # noqa: SLF001 - where the memory store keeps them
        (entry,) = drive(store.get([key]), clock=desk.clock)
        assert entry is not None
        spoilt = WRONG[wrong](key, entry.value)
        assert spoilt != entry.value
        changed = Entry(spoilt, entry.stored_at, entry.fresh_until, entry.keep_until)
        drive(store.set({key: changed}, tenant=""), clock=desk.clock)

    desk.run(program)


def test_an_answer_that_is_too_large_is_not_kept() -> None:
    """It is given to the program, and to nobody else."""
    side = Side("sync")
    rig = side.rig([Cache(max_bytes=100_000_000)], default="word " * (LARGEST // 5))
    for _ in range(2):
        assert rig.create(temperature=0).choices[0].message.content
    assert len(rig.sent) == 2


def test_what_is_packed_can_be_unpacked() -> None:
    """The answer's text as it was, and the rest."""
    content = b'{"a": [1, "\\u00e9", "\xc3\xa9", ",\\"body\\":"]}'
    for request_id in ("req_1", None, "", "bad\n", "x" * 300):
        value = packed("c2:k", content, origin(request_id, streamed=True))
        assert value is not None
        json.loads(value)
        assert unpacked("c2:k", value) == (content, "req_1" if request_id == "req_1" else "", True)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_nothing_secret_is_in_the_store(side: Side, server: LocalServer, tmp_path: Path, kind: str) -> None:
    """No key and no question: only answers, under a digest."""
    store: Any = open_store("memory://" if kind == "memory" else f"sqlite:///{tmp_path}/cache.db").cache()
    values: list[bytes] = []
    kept = store.set

    def watched(entries: Any, *, tenant: str) -> Any:
        values.extend(entry.value for entry in entries.values())
        values.extend(key.encode() for key in entries)
        return kept(entries, tenant=tenant)

    store.set = watched
    desk = Desk(side, server, store=store)

    async def program() -> None:
        await desk.ask(extra_headers={"Authorization": "Bearer sk-test-not-a-key-2"}, user="ann-the-user")
        await desk.embed("private words")

    desk.run(program)
    assert len(values) == 4
    stored = b" ".join(values)
    assert not any(secret in stored for secret in (b"not-a-key", b"private words", b"ann-the-user", b"messages"))


def test_what_was_kept_is_there_for_the_next_program(side: Side, server: LocalServer, tmp_path: Path) -> None:
    """In a file it outlives the process."""
    for _ in range(2):
        desk = Desk(side, server, store=f"sqlite:///{tmp_path}/cache.db")
        desk.run(desk.ask)
    assert server.count() == 1


def test_a_store_offered_by_a_plugin_is_found(server: LocalServer) -> None:
    """By its scheme."""
    from llmstack import hookimpl
    from llmstack.stores.memory import MemoryStore

    opened: list[str] = []

    class Shop:
        name = "shop"

        @hookimpl
        def llmstack_stores(self) -> Any:
            def open_shop(url: str) -> MemoryStore:
                opened.append(url)
                return MemoryStore()

            return {"shop": open_shop}

    side = Side("sync")
    desk = Desk(side, server, Shop(), store="shop://counter")

    async def program() -> None:
        await desk.ask()
        await desk.ask()

    desk.run(program)
    assert opened == ["shop://counter"]
    assert desk.sent == 1


def test_a_store_that_is_back_is_used_at_once_again(server: LocalServer) -> None:
    """And one that fails later begins with a short rest."""
    store: Any = open_store("memory://").cache()
    get, down = store.get, [True]

    def sometimes(keys: Any) -> Any:
        if down:
            raise DOWN
        return (yield from get(keys))

    store.get = sometimes
    desk = Desk(Side("sync"), server, store=store)

    async def program() -> None:
        for _ in range(3):
            await desk.ask()
            desk.clock.advance(5)
        assert desk.sent == 3
        down.clear()
        await desk.ask()
        assert desk.sent == 3
        down.append(True)
        await desk.ask()
        down.clear()
        desk.clock.advance(0.5)
        await desk.ask()
        assert desk.sent == 4

    desk.run(program)
