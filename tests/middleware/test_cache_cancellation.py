"""A task may be cancelled at any await of a call that is cached: nobody is left waiting, no lease is left taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmstack.effects import drive
from llmstack.middleware.cache import Cache
from llmstack.stores import CacheStore, open_store
from llmstack.testing import LocalServer
from tests.core.side import Rig, Side, trio_complains
from tests.drivers.test_cancellation import WAYS, Strikes, Way, closed_early, plain, read

pytestmark = trio_complains


async def twice(rig: Rig) -> None:
    """Ask, and be served."""
    await rig.create()
    await rig.create()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", [plain, twice, read, closed_early], ids=lambda program: program.__name__)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_cancelled_at_every_await(server: LocalServer, tmp_path: Path, program: Any, way: Way, kind: str) -> None:
    """Over a real connection: none is left in use, and what was begun can be begun again."""
    side = Side(way.loop)
    made: list[tuple[Cache, CacheStore, list[str]]] = []

    def rig() -> Rig:
        url = "memory://" if kind == "memory" else f"sqlite:///{tmp_path}/{len(made)}.db"
        store: Any = open_store(url).cache()
        leased: list[str] = []
        lease = store.lease

        def watched(key: str, owner: str, seconds: float) -> Any:
            leased.append(key)
            return lease(key, owner, seconds)

        store.lease = watched
        cache = Cache(store=store, when="always")
        made.append((cache, store, leased))
        return side.local(server, [cache])

    side.run(Strikes(side, rig, program, way).everywhere)
    assert len(made) > 2
    for cache, store, leased in made:
        assert len(cache._flights) == 0  # noqa: SLF001 - nobody outside needs to know
        for key in leased[:1]:
            assert drive(open_lease(store, key))
        store.close()


def open_lease(store: CacheStore, key: str) -> Any:
    """Take a lease."""
    return store.lease(key, "another process", 1)
