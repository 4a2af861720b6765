"""SQLite: stores in files of this machine, shared by all its processes. ``sqlite:///path``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from llmstack.stores._sqlite.access import Access
from llmstack.stores._sqlite.cache import SqliteCache
from llmstack.stores._sqlite.ledger import SqliteLedger
from llmstack.stores._sqlite.pool import Pool
from llmstack.stores._sqlite.schema import CACHE, LEDGER
from llmstack.stores._url import positive, query

__all__ = ["SqliteCache", "SqliteLedger", "SqliteStore", "open_sqlite"]

MAX_BYTES = 256_000_000
"""Bytes that a cache takes at most."""

TIMEOUT = 5.0
"""Seconds that an operation waits at most for others who write."""


class SqliteStore:
    """A ledger in a file, and a cache in another beside it: ``llm.db`` and ``llm-cache.db``.

    They are apart since a damaged cache is moved aside and begun anew, which must never happen to accounts.

    Args:
        path: The ledger's file. It and its folder are made when they are needed, for their owner alone.
        synchronous: ``"normal"``: what is written outlives this process, however it ends; ``"full"``: also a power
            failure, at the price of waiting for the disk each time. The cache always uses the first.
        timeout: Seconds that an operation waits at most for others who write.
        max_bytes: What the cache may take, in bytes, where it is not told otherwise.

    Raises:
        ValueError: If one of them cannot be.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        synchronous: str = "normal",
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        _synchronous(synchronous)
        if not 0 < timeout <= _LONGEST or max_bytes < 1:
            raise ValueError(f"the timeout must be over 0 and up to {_LONGEST:.0f} s, and max_bytes at least 1")
        self._path = Path(path).expanduser().absolute()
        if not self._path.name:
            raise ValueError("a file must be named")
        self._synchronous = synchronous
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._access: dict[str, Access] = {}

    @property
    def path(self) -> Path:
        """The ledger's file, absolute; it need not be there."""
        return self._path

    def cache(self, *, max_bytes: int | None = None) -> SqliteCache:
        """The cache in the file beside the ledger's."""
        path = self._path.with_name(f"{self._path.stem}-cache{self._path.suffix}")
        access = self._access.get("cache")
        if access is None:
            pool = Pool(path, CACHE, timeout=self._timeout, synchronous="normal")
            access = self._access.setdefault("cache", Access(pool))
        return SqliteCache(access, self._max_bytes if max_bytes is None else max_bytes)

    def ledger(self) -> SqliteLedger:
        """The ledger in the file."""
        access = self._access.get("ledger")
        if access is None:
            pool = Pool(self._path, LEDGER, timeout=self._timeout, synchronous=self._synchronous)
            access = self._access.setdefault("ledger", Access(pool))
        return SqliteLedger(access)


_LONGEST = 3600.0


def open_sqlite(url: str) -> SqliteStore:
    """The store of a ``sqlite://`` URL. The file is opened with the first operation.

    Args:
        url: ``"sqlite:///relative/path.db"``, ``"sqlite:////absolute/path.db"`` or ``"sqlite:///~/path.db"``, perhaps
            with ``?synchronous=``, ``?timeout=`` or ``?max_bytes=``. Other characters are written as ``%3F`` and so on.

    Raises:
        ValueError: If it says anything else.
    """
    parts = urlsplit(url)
    if parts.netloc:
        raise ValueError("three slashes before a relative path, four before an absolute one: sqlite:///llm.db")
    path = unquote(parts.path.removeprefix("/"))
    if not path or path.endswith("/") or "\0" in path:
        raise ValueError("a file must be named, such as sqlite:///llm.db")
    if path == ":memory:":
        raise ValueError("what lasts only as long as the process is memory://")
    kinds: dict[str, Callable[[str], Any]] = {"synchronous": _synchronous, "timeout": float, "max_bytes": positive}
    return SqliteStore(path, **query(parts.query, kinds))


def _synchronous(text: str) -> str:
    if text not in ("normal", "full"):
        raise ValueError("synchronous is 'normal' or 'full'")
    return text
