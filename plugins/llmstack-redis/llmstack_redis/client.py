"""Clients of redis-py by settings: without its retries, which would send a command again that may have been done."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio as aio
import redis.connection
from redis.asyncio.cluster import ClusterNode as AsyncNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import SentinelManagedConnection as AsyncSentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry

from llmstack_redis.connection import AsyncSentinelTLS, AsyncTLS, Plain, Sentinel, SentinelTLS, Tls, Unix
from llmstack_redis.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio.connection import RedisSSLContext

__all__ = ["Opened", "make_async", "make_sync", "prepare_tls"]


# Without telling Redis its name: redis-py 8 looks that up for each connection anew, which takes milliseconds.
_UNNAMED: Final[dict[str, Any]] = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(redis.connection.AbstractConnection).parameters
    else {"lib_name": None, "lib_version": None}
)


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A client and what must be closed with it.

    Attributes:
        client: redis-py's.
        others: Its clients for the sentinels.
    """

    client: Any
    others: tuple[Any, ...] = ()

    def close(self) -> None:
        """Close all connections, of a client for threads."""
        for client in (self.client, *self.others):
            client.close()

    async def aclose(self) -> None:
        """Close all connections, of a client for an event loop; in that loop."""
        for client in (self.client, *self.others):
            await client.aclose()


def make_sync(settings: Settings) -> Opened:
    """A client for threads. For a cluster this asks its nodes.

    Args:
        settings: Where and how.
    """
    options: dict[str, Any] = {**_options(settings), "retry": Retry(NoBackoff(), 0)}
    if settings.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in settings.addresses]  # type: ignore[no-untyped-call]
        # Only with a URL does it take a class for its connections.
        host, port = settings.addresses[0]
        bracketed = f"[{host}]" if ":" in host else host
        url = f"redis://{bracketed}:{port}"
        kind: Any = Tls if settings.tls else Plain
        return Opened(redis.RedisCluster(url=url, startup_nodes=nodes, connection_class=kind, **options))
    options["db"] = settings.db
    if settings.kind == "sentinel":
        kind = Tls if settings.tls else Plain
        sentinel = redis.Sentinel(())  # type: ignore[no-untyped-call]
        for host, port in settings.addresses:
            pool = redis.ConnectionPool(connection_class=kind, host=host, port=port, **_login(settings, options))
            sentinel.sentinels.append(redis.Redis.from_pool(pool))
        kind = SentinelTLS if settings.tls else Sentinel
        client: Any = sentinel.master_for(settings.service, connection_class=kind, **options)  # type: ignore[no-untyped-call]
        return Opened(client, tuple(sentinel.sentinels))
    kind = Unix if settings.kind == "unix" else Tls if settings.tls else Plain
    pool = redis.ConnectionPool(connection_class=kind, **_where(settings), **options)
    return Opened(redis.Redis.from_pool(pool))


def make_async(settings: Settings, prepared: RedisSSLContext | None) -> Opened:
    """A client for the event loop that runs this. It does no I/O.

    Args:
        settings: Where and how.
        prepared: What `prepare_tls` made.
    """
    options: dict[str, Any] = {**_options(settings), "retry": AsyncRetry(NoBackoff(), 0)}
    if settings.kind == "cluster":
        nodes = [AsyncNode(host, port) for host, port in settings.addresses]
        return Opened(aio.RedisCluster(startup_nodes=nodes, ssl=settings.tls, **options))
    options["db"] = settings.db
    if prepared is not None:
        options["prepared"] = prepared
    kind: Any = AsyncTLS if settings.tls else aio.Connection
    if settings.kind == "sentinel":
        sentinel = aio.Sentinel(())  # type: ignore[no-untyped-call]
        for host, port in settings.addresses:
            pool = aio.ConnectionPool(connection_class=kind, host=host, port=port, **_login(settings, options))
            sentinel.sentinels.append(aio.Redis.from_pool(pool))
        managed = AsyncSentinelTLS if settings.tls else AsyncSentinel
        client = sentinel.master_for(settings.service, connection_class=managed, **options)
        return Opened(client, tuple(sentinel.sentinels))
    if settings.kind == "unix":
        kind = aio.UnixDomainSocketConnection
    pool = aio.ConnectionPool(connection_class=kind, **_where(settings), **options)
    return Opened(aio.Redis.from_pool(pool))


def prepare_tls(settings: Settings) -> RedisSSLContext | None:
    """Read certificates, which takes tens of milliseconds; None where nothing is encrypted.

    Args:
        settings: Where and how.
    """
    if not settings.tls or settings.kind == "cluster":
        return None
    prepared = aio.SSLConnection(**_tls(settings)).ssl_context
    prepared.get()
    return prepared


def _options(settings: Settings) -> dict[str, Any]:
    return {
        **{name: value for name, value in settings.options.items() if not name.startswith("ssl_")},
        **_tls(settings),
        "username": settings.username,
        "password": settings.password,
        **_UNNAMED,
        "protocol": 2,  # in version 3 a server may tell a client to wait longer
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": settings.timeout,
    }


def _tls(settings: Settings) -> dict[str, Any]:
    return {name: value for name, value in settings.options.items() if name.startswith("ssl_")}


def _where(settings: Settings) -> dict[str, Any]:
    if settings.kind == "unix":
        return {"path": settings.path}
    host, port = settings.addresses[0]
    return {"host": host, "port": port}


def _login(settings: Settings, options: dict[str, Any]) -> dict[str, Any]:
    """The options for a sentinel: it has users of its own, and no databases."""
    return {**options, "username": settings.sentinel_username, "password": settings.sentinel_password, "db": 0}
