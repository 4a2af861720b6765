"""The store of a Redis URL."""

from __future__ import annotations

from llmstack_redis.cache import RedisCache
from llmstack_redis.ledger import RedisLedger
from llmstack_redis.link import Link
from llmstack_redis.settings import Settings

__all__ = ["RedisStore"]


class RedisStore:
    """A cache and a ledger in one Redis, which share its connections.

    Args:
        settings: Where Redis is, and how it is used.
    """

    def __init__(self, settings: Settings) -> None:
        self._link = Link(settings)

    def __repr__(self) -> str:
        """Without the address."""
        return f"RedisStore(prefix={self._link.settings.prefix!r})"

    def cache(self, *, max_bytes: int | None = None) -> RedisCache:  # noqa: ARG002 - the port's; Redis has a bound of its own
        """The place for a cache.

        Args:
            max_bytes: Not used: what Redis may take is its own setting (``maxmemory``, ``maxmemory-policy``).
        """
        return RedisCache(self._link)

    def ledger(self) -> RedisLedger:
        """The place for accounts."""
        return RedisLedger(self._link)

    def close(self) -> None:
        """Close all connections. The cache and the ledger may be used again: they connect anew."""
        self._link.close()

    async def aclose(self) -> None:
        """The same in an async program."""
        await self._link.aclose()
