"""What Cache tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmstack.events import Event

__all__ = ["CacheHit", "CacheMissed", "CacheStored", "Reason"]

Reason = Literal["absent", "expired", "partial", "refresh"]
"""Why a call was not served: ``absent`` (nothing is kept, or nothing that fits) · ``expired`` (what is kept is too
old) · ``partial`` (some inputs of a batch are known, the rest is asked for) · ``refresh`` (the program wants it so)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheHit(Event):
    """A call was answered without asking the provider.

    Attributes:
        age: Seconds since the provider answered.
        stale: True if the answer was too old, and was served because the provider could not be asked.
        shared: True if it is the answer to another call that was under way at the same time.
    """

    age: float
    stale: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheMissed(Event):
    """The provider is asked.

    Attributes:
        reason: Why.
        known: Inputs of a batch that are known.
        asked: Inputs that are asked for; 1 for anything but a batch.
    """

    reason: Reason
    known: int = 0
    asked: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStored(Event):
    """An answer was kept.

    Attributes:
        bytes: Bytes of what was kept.
        ttl: Seconds for which it may be served.
        entries: How many entries it makes; more than 1 for a batch.
    """

    bytes: int
    ttl: float
    entries: int = 1
