"""Telling apart who asks: short digests of the keys, and of the other settings, that a client adds to its requests.

A cache must not give one customer's answers to another, nor the answers of one gateway's route for another's; and none
of this may be kept where it could be read. A digest of 128 bits tells apart and tells nothing.
"""

from __future__ import annotations

import json
import secrets
import weakref
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from llmstack._wire.http_settings import http_settings, http_state
from llmstack._wire.sdk import ClientSettings, client_settings, client_state, names_secret

__all__ = ["credential_digest", "credential_of", "settings_digest", "settings_of"]

_SIZE = 16

_unnamed: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""A name for each source of keys that must be asked for them, such as a function. Only this process knows it."""


_told: weakref.WeakKeyDictionary[Any, tuple[Any, str, str]] = weakref.WeakKeyDictionary()
"""The digests of each client, with what it was set to when they were made."""


def credential_of(client: Any) -> str:
    """A digest of the keys that a client sends.

    One whose keys come from a function, or are fetched, has a digest of its own in each process: its keys change, and
    need not be known yet.
    """
    return _of(client)[1]


def settings_of(client: Any) -> str:
    """A digest of all else that a client adds to each request: organization, project, headers and query.

    Those of its HTTP client included.
    """
    return _of(client)[2]


def _of(client: Any) -> tuple[Any, str, str]:
    http = client._client  # noqa: SLF001 - the SDK's HTTP client
    state = (client_state(client), http_state(http))
    told = _told.get(client)
    if told is None or told[0] != state:
        settings = client_settings(client)
        sources, extra = http_settings(http)
        settings = replace(settings, sources=(*settings.sources, *sources), extra=(*settings.extra, *extra))
        told = _told[client] = (state, credential_digest(settings), settings_digest(settings))
    return told


def credential_digest(settings: ClientSettings) -> str:
    """The digest of the keys among some settings; see `credential_of`."""
    secret = [pair for pair in settings.extra if names_secret(pair[0])]
    sources = [_name(source) for source in settings.sources]
    return _digest(b"llmstack credential", [*sorted(settings.keys), *sorted(secret), *sources])


def settings_digest(settings: ClientSettings) -> str:
    """The digest of all else; see `settings_of`."""
    return _digest(b"llmstack settings", sorted(pair for pair in settings.extra if not names_secret(pair[0])))


def _name(source: Any) -> str:
    """The name of a source of keys. A bound method is made anew for each look at it, so its object counts."""
    owner, function = getattr(source, "__self__", source), getattr(source, "__func__", None)
    fresh = secrets.token_hex(16)
    try:
        name = _unnamed.setdefault(owner, fresh)
    except TypeError:  # it can be neither found again nor watched: then nobody is the same
        return fresh
    return f"{name} {getattr(function, '__qualname__', '')}"


def _digest(purpose: bytes, parts: Iterable[object]) -> str:
    return blake2b(json.dumps(list(parts)).encode(), digest_size=_SIZE, key=purpose).hexdigest()
