"""Explanations: what went into a key, without saying it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from llmstack.middleware._cache.canonical import NotCanonicalError, canonical

__all__ = ["KeyExplanation", "explained"]

_NAMES = ("version", "transport", "base_url", "method", "path", "tenant", "credential", "settings")


@dataclass(frozen=True, slots=True)
class KeyExplanation:
    """Why a call has the key it has. It holds no content: values that may be any are told by a digest.

    Attributes:
        key: The key; empty if the call is not cached.
        reason: Why it is not cached; empty if it is.
        parts: What went into the key, by name, such as ``{"path": "/chat/completions", "params.messages": "9c1f…"}``.
        left_out: Parameters that the call has and that do not matter.
    """

    key: str
    reason: str
    parts: Mapping[str, str]
    left_out: Sequence[str] = ()

    def difference(self, other: KeyExplanation) -> list[str]:
        """The names of the parts in which two calls differ: why one was not served the answer of the other."""
        names = sorted({*self.parts, *other.parts})
        return [name for name in names if self.parts.get(name) != other.parts.get(name)]


def explained(key: str, reason: str, parts: Sequence[Any], left_out: Sequence[str]) -> KeyExplanation:
    """Explain a key.

    Args:
        key: The key.
        reason: Why the call is not cached.
        parts: See `parts_of`.
        left_out: Parameters that the call has and that do not matter.
    """
    *plain, headers, query, params = parts
    told = dict(zip(_NAMES, map(str, plain), strict=True))
    for group, values in (("headers", headers), ("query", query), ("params", params)):
        told |= {f"{group}.{name}": _digest(value) for name, value in values.items()}
    return KeyExplanation(key, reason, told, left_out)


def _digest(value: Any) -> str:
    try:
        return blake2b(canonical(value).encode(), digest_size=8).hexdigest()
    except NotCanonicalError:
        return "no JSON"
