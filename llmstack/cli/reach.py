"""Reach: whether the stores that a stack's plugins open can be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from llmstack import Stack
from llmstack.cli.finding import Finding
from llmstack.effects import drive
from llmstack.errors import StoreError
from llmstack.stores import Bucket, CacheStore, Ledger, Store

_NOBODY = "llmstack-check"
"""A key and a bucket that nothing uses: reading them changes nothing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A place in a store that a plugin has asked for.

    Attributes:
        url: The store's address, without user, password and query.
        port: The place.
        bounds: What the plugin asked for besides.
    """

    url: str
    port: CacheStore | Ledger


@dataclass(slots=True)
class Noting:
    """A store that notes what is asked of it."""

    store: Store
    url: str
    opened: list[Opened]

    def cache(self, *, max_bytes: int | None = None) -> CacheStore:
        """The store's own; noted."""
        port = self.store.cache(max_bytes=max_bytes)
        self.opened.append(Opened(self.url, port))
        return port

    def ledger(self) -> Ledger:
        """The store's own; noted."""
        port = self.store.ledger()
        self.opened.append(Opened(self.url, port))
        return port


class WatchedStack(Stack):
    """A stack that notes the stores which its plugins open while it is built.

    Attributes:
        opened: What they have opened.
    """

    opened: list[Opened]

    def __init__(self, plugins: Any = (), **more: Any) -> None:
        self.opened = []
        super().__init__(plugins, **more)

    def open_store(self, url: str) -> Store:
        """The store that a URL names; noted."""
        return Noting(super().open_store(url), shown(url), self.opened)


def shown(url: str) -> str:
    """An address without what may be secret: user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def reached(stack: WatchedStack) -> Iterator[Finding]:
    """Read from every store; nothing is written but what a store makes of itself when it is opened."""
    for opened in stack.opened:
        kind, flow = (
            ("cache", opened.port.get([_NOBODY]))
            if isinstance(opened.port, CacheStore)
            else ("ledger", opened.port.spent([Bucket(_NOBODY, 0)]))
        )
        try:
            drive(flow)
        except StoreError as error:
            yield Finding("bad", "store", f"the {kind} at {opened.url} cannot be used: {error.message}")
        else:
            passing = " (in memory: it ends with its process)" if opened.url.startswith("memory:") else ""
            yield Finding("ok", "store", f"the {kind} at {opened.url} answers{passing}")
