"""Redis as a store of llmstack: caches, budgets and limits shared by any number of processes and machines.

    from llmstack import OpenAI, Stack

    store = "redis://localhost/0"
    client = OpenAI(stack=Stack([Cache(store=store), Budget(["$5/day"], store=store)]))

Installed, it is found by the URL. `begin` and `abegin` start a ledger anew after one was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmstack.hookspecs import hookimpl

if TYPE_CHECKING:
    from llmstack.stores import Opener
    from llmstack_redis.store import RedisStore

__all__ = ["SCHEMES", "abegin", "begin", "llmstack_stores", "open_redis"]

name = "redis"

SCHEMES = (
    "redis",
    "rediss",
    "redis+unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
"""The URL schemes on offer."""


def open_redis(url: str) -> RedisStore:
    """The store that a URL names. It does no I/O.

    Args:
        url: Such as ``"redis://user:password@host:6379/0?prefix=shop"``.

    Raises:
        ValueError: If the URL is wrong; the message does not quote it.
    """
    from llmstack_redis.settings import read_url
    from llmstack_redis.store import RedisStore

    return RedisStore(read_url(url))


def begin(url: str) -> None:
    """Begin a ledger anew, if the one at this URL was lost. All that was spent and reserved counts for nothing then.

    Other processes go on refusing until they are restarted, or call this too: each has to be told that what it knew is
    gone. One that is not lost stays as it is, and is what this process trusts from now on.

    Args:
        url: As for `open_redis`.

    Raises:
        llmstack.errors.StoreError: If Redis cannot be used.
        ValueError: If the URL is wrong.
    """
    from llmstack.effects import drive

    store = open_redis(url)
    try:
        drive(store.ledger().begin())
    finally:
        store.close()


async def abegin(url: str) -> None:
    """The same in an async program."""
    from llmstack.effects import adrive

    store = open_redis(url)
    try:
        await adrive(store.ledger().begin())
    finally:
        await store.aclose()


@hookimpl
def llmstack_stores() -> Mapping[str, Opener]:
    """Offer the schemes."""
    return dict.fromkeys(SCHEMES, open_redis)
