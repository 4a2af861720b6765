"""Known verdicts: what has been judged need not be judged again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256

import cachetools

from llmstack.middleware._moderation.verdict import Verdict

__all__ = ["KnownVerdicts", "key_of"]


def key_of(*parts: str) -> bytes:
    """The key of what is judged and by whom: SHA-256, so that no content is kept.

    Args:
        parts: Texts; where one ends and the next begins counts.
    """
    digest = sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.digest()


class KnownVerdicts:
    """Verdicts by key, as many as asked for and as long; the one least used goes first. For all threads."""

    def __init__(self, size: int, ttl: float) -> None:
        """Keep so many verdicts, each for so many seconds of the clock that `at` is told."""
        self._now = 0.0
        self._lock = threading.Lock()
        timer: Callable[[], float] = lambda: self._now  # noqa: E731 - the stack's clock, as far as it has been told
        self._verdicts: cachetools.TTLCache[bytes, Verdict] | None = (
            cachetools.TTLCache(size, ttl, timer=timer) if size else None
        )

    def __len__(self) -> int:
        """How many are kept."""
        return 0 if self._verdicts is None else len(self._verdicts)

    def get(self, key: bytes, now: float) -> Verdict | None:
        """A verdict that is known; None if there is none."""
        if self._verdicts is None:
            return None
        with self._lock:
            self._now = max(self._now, now)
            return self._verdicts.get(key)

    def put(self, key: bytes, verdict: Verdict, now: float) -> None:
        """Keep a verdict."""
        if self._verdicts is None:
            return
        with self._lock:
            self._now = max(self._now, now)
            self._verdicts[key] = verdict
