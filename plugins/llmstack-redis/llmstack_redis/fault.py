"""What goes wrong with Redis, in words for people. Never with the URL, a password, or what Redis says in its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import redis.asyncio.sentinel
import redis.exceptions
import redis.sentinel

from llmstack.errors import StoreError

__all__ = ["STORE", "explained", "is_lost"]

STORE: Final = "redis"
"""The store's name in errors."""

_Check = Callable[[BaseException], bool]


def _is(*kinds: type[BaseException]) -> _Check:
    return lambda error: isinstance(error, kinds)


def _says(*words: str) -> _Check:
    return lambda error: isinstance(error, redis.exceptions.RedisError) and any(word in str(error) for word in words)


_NO_ENTRY: Final = (
    redis.exceptions.AuthenticationError,
    redis.exceptions.AuthenticationWrongNumberOfArgsError,
    redis.exceptions.AuthorizationError,
)
_EXPLAINED: Final[tuple[tuple[_Check, str], ...]] = (
    # In its own words, or because it takes few arguments from whom it does not know.
    (_says("Authentication required", "unauthenticated"), "Redis asks for a password, and the store's URL has none"),
    (_is(*_NO_ENTRY), "Redis does not let this program in: check the user and the password in the store's URL"),
    (
        _is(redis.exceptions.NoPermissionError),
        "Redis does not let this user do that: allow it the store's keys, EVAL, EVALSHA, TIME and their commands",
    ),
    (_is(redis.exceptions.BusyLoadingError), "Redis is starting and still loads its data: try again soon"),
    (
        _is(redis.exceptions.ReadOnlyError),
        "this Redis is a read-only replica: name its master in the store's URL, or let redis+sentinel:// find it",
    ),
    (
        _is(redis.exceptions.OutOfMemoryError),
        "Redis is full: raise its maxmemory, or let a cache have a Redis of its own that evicts",
    ),
    (_says("OOM"), "Redis is full: raise its maxmemory, or let a cache have a Redis of its own that evicts"),
    (_says("READONLY"), "this Redis is a read-only replica: name its master in the store's URL"),
    (_says("MISCONF"), "Redis cannot write its data to disk and refuses to change any: see its log"),
    (
        _says("WRONGTYPE"),
        "a key of this store holds something of another program: give the store a prefix of its own (?prefix=)",
    ),
    (_says("BUSY"), "Redis is held up by another program's script: see SLOWLOG, and SCRIPT KILL"),
    (
        _is(redis.exceptions.ClusterError, redis.exceptions.RedisClusterException),
        "the Redis cluster cannot be used: see CLUSTER INFO, and whether its nodes can be reached from here",
    ),
    (
        _is(redis.exceptions.TimeoutError, TimeoutError),
        "Redis did not answer in time: it is hung, overloaded or far away (the option ?timeout= has the seconds)",
    ),
    (
        _says("CERTIFICATE_VERIFY_FAILED"),
        "Redis cannot be reached safely: its certificate is not trusted (?ssl_ca_certs= names the authority's file)",
    ),
    (
        _is(redis.sentinel.MasterNotFoundError, redis.asyncio.sentinel.MasterNotFoundError),
        "the sentinels name no master: can one be reached, does it know this name, and is its password right?",
    ),
    (_is(redis.exceptions.ConnectionError, OSError), "Redis cannot be reached: is it running, at this host and port?"),
)


def is_lost(error: BaseException) -> bool:
    """True if the connection failed, so that nobody knows whether the operation was done.

    Args:
        error: What redis-py raised.
    """
    lost = isinstance(error, (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError))
    return lost and not isinstance(error, (*_NO_ENTRY, redis.exceptions.BusyLoadingError))


def explained(error: BaseException) -> StoreError:
    """The error for the program; the caller chains the original.

    Args:
        error: What redis-py raised.
    """
    for fits, text in _EXPLAINED:
        if fits(error):
            return StoreError(text, store=STORE)
    return StoreError(f"Redis refused the operation ({type(error).__name__})", store=STORE)
