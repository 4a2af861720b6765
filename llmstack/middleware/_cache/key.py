"""Keys: all that an answer depends on, as a hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from llmstack import Call
from llmstack.middleware._cache.canonical import canonical

__all__ = [
    "HEADERS_LEFT_OUT",
    "KEYS",
    "LEFT_OUT",
    "VERSION",
    "Partition",
    "batch_key",
    "item_keys",
    "key_of",
    "parts_of",
]

VERSION = 2
"""Of what goes into a key, and of what is kept by it. Another version finds nothing of this one's."""

LEFT_OUT = frozenset(
    {
        *("stream", "stream_options", "user", "metadata", "safety_identifier"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
    }
)
"""Parameters that change how an answer is given, or are told about it, but not the answer."""

HEADERS_LEFT_OUT = frozenset(
    {"idempotency-key", "traceparent", "tracestate", "baggage", "sentry-trace", "x-client-request-id"}
)
"""Headers of a call that name this one request; beside them all ``x-stainless-*``."""

KEYS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key"})
"""Headers of a call that carry keys; left out where the program names its tenants itself."""

_SIZE = 24
_PERSON = b"llmstack.cache"


@dataclass(frozen=True, slots=True)
class Partition:
    """For whom a call is made: nobody else is given its answer.

    Attributes:
        tenant: The name that entries are purged by; empty if there is none.
        credential: Digest of the keys that the client sends; None if the program names its tenants itself, so that
            keys do not matter.
    """

    tenant: str
    credential: str | None


def parts_of(call: Call, partition: Partition, *, without: str = "") -> list[Any]:
    """What goes into a key, in order; the parameters come last.

    Args:
        call: The call.
        partition: For whom it is made.
        without: A parameter more that is left out, since it goes into the key otherwise.
    """
    params = call.params
    if without or not LEFT_OUT.isdisjoint(params):
        params = {name: value for name, value in params.items() if name not in LEFT_OUT and name != without}
    return [
        VERSION,
        call.transport,
        call.base_url,
        call.method,
        call.path,
        partition.tenant,
        partition.credential,
        call.settings,
        _headers(call.headers, keys=partition.credential is not None) if call.headers else {},
        call.query or {},
        params,
    ]


def _headers(headers: Mapping[str, Any], *, keys: bool) -> dict[str, str]:
    named = ((name.lower(), value) for name, value in headers.items())
    return {
        name: value if isinstance(value, str) else type(value).__name__
        for name, value in named
        if name not in HEADERS_LEFT_OUT and not name.startswith("x-stainless-") and (keys or name not in KEYS)
    }


def key_of(parts: Sequence[Any]) -> str:
    """The key of a call.

    Raises:
        NotCanonicalError: If the call is not all JSON.
    """
    *around, headers, query, params = parts
    # All but the parameters is mostly that of the call before.
    digest = _begun([*around, headers, query]) if headers or query else _usual(*around).copy()
    digest.update(canonical(params).encode())
    digest.update(b"]")
    return _named(digest.hexdigest())


def _begun(parts: Sequence[Any]) -> blake2b:
    """The digest of a list's canonical text, as far as these parts of it; another follows."""
    text = canonical(parts)
    return blake2b(f"{text[:-1]},".encode(), digest_size=_SIZE, person=_PERSON)


@lru_cache(maxsize=256, typed=True)  # what is equal in Python, as 1 and True are, is not the same text
def _usual(*parts: Any) -> blake2b:
    """The same for calls that have neither headers nor a query of their own."""
    return _begun([*parts, {}, {}])


def item_keys(parts: Sequence[Any], items: Sequence[Any]) -> tuple[str, ...]:
    """The keys of a call that asks several things at once, one for each.

    Args:
        parts: What they share.
        items: What is asked.

    Raises:
        NotCanonicalError: If anything is no JSON.
    """
    shared = blake2b(canonical([*parts, "item"]).encode(), digest_size=_SIZE, person=_PERSON)
    # A text is hashed as it is: behind its quote nothing else can follow, and nothing else begins with one.
    quoted = shared.copy()
    quoted.update(b'"')
    keys: list[str] = []
    for item in items:
        if isinstance(item, str):
            digest = quoted.copy()
            digest.update(item.encode("utf-8", "surrogatepass"))
        else:
            digest = shared.copy()
            digest.update(canonical(item).encode())
        keys.append(_named(digest.hexdigest()))
    return tuple(keys)


def batch_key(keys: Sequence[str]) -> str:
    """The key of a call as a whole that asks several things at once; of one that asks one thing its key.

    Args:
        keys: What `item_keys` gives.
    """
    if len(keys) == 1:
        return keys[0]
    return _named(blake2b(",".join(keys).encode(), digest_size=_SIZE, person=_PERSON).hexdigest())


def _named(digest: str) -> str:
    return f"c{VERSION}:{digest}"
