"""Settings: what Cache's options may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from llmstack import Pace
from llmstack.middleware._cache.rule import When

__all__ = ["PATIENCE", "Settings", "check", "pace_of", "patience_of"]

PATIENCE = 10.0
"""Seconds that a call waits for a streamed one that asks the same; that may end only when its program has read it."""

_PIECE = 20
"""Characters that an event of a paced replay carries."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a cache goes about it.

    Attributes:
        ttl: Seconds for which an answer may be served.
        when: Which calls are cached.
        stale_if_error: Seconds for which it may be served beyond that if the provider cannot be asked.
        patience: Seconds to wait for a streamed call that asks the same; None if calls do not wait for each other.
        tool_calls: Whether answers that call tools are kept.
        pace: How quickly an answer is replayed as a stream.
        stream_usage: Whether a stream is asked for its usage.
    """

    ttl: float
    when: When
    stale_if_error: float
    patience: float | None
    tool_calls: bool
    pace: Pace | None
    stream_usage: bool


def check(*, when: Any, tenant: Any, max_bytes: Any, **seconds: Any) -> None:
    """Check the options of Cache.

    Args:
        when: See `Cache`.
        tenant: See `Cache`.
        max_bytes: See `Cache`.
        seconds: ``ttl`` and ``stale_if_error``.

    Raises:
        ValueError: If one cannot be; the message says which.
    """
    if when not in ("deterministic", "always") and not callable(when):
        raise ValueError(f"when must be 'deterministic', 'always' or a function of the call, not {when!r}")
    if tenant is not None and not isinstance(tenant, str) and not callable(tenant):
        raise ValueError(f"tenant must be a text or a function of the call, not {tenant!r}")
    if max_bytes is not None and (type(max_bytes) is not int or max_bytes < 1):
        raise ValueError(f"max_bytes must be a number of bytes, at least 1, or None, not {max_bytes!r}")
    for name, given in seconds.items():
        if not _is_number(given) or not 0 <= given < math.inf or (name == "ttl" and not given):
            raise ValueError(f"{name} must be a number of seconds, not {given!r}")


def patience_of(single_flight: Any) -> float | None:
    """What ``single_flight`` means.

    Raises:
        ValueError: If it is neither true, false nor a number of seconds.
    """
    if isinstance(single_flight, bool):
        return PATIENCE if single_flight else None
    if not _is_number(single_flight) or not 0 < single_flight < math.inf:
        raise ValueError(f"single_flight must be True, False or a number of seconds, not {single_flight!r}")
    return float(single_flight)


def pace_of(given: Any) -> Pace | None:
    """What ``pace`` means.

    Raises:
        ValueError: If it is neither None nor a number of characters a second.
    """
    if given is None:
        return None
    if not _is_number(given) or not 0 < given < math.inf:
        raise ValueError(f"pace must be a number of characters a second greater than 0, or None, not {given!r}")
    return Pace(characters=_PIECE, seconds=_PIECE / given)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
