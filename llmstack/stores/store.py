"""Stores by URL: ``memory://``, ``sqlite:///path``, and the schemes that plugins offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

from llmstack._plugins.discovery import available, load
from llmstack.errors import OptionError, UnsupportedError
from llmstack.stores.cache import CacheStore
from llmstack.stores.ledger import Ledger

__all__ = ["Opener", "Store", "open_store"]


class Store(Protocol):
    """What a URL names. Opening it does no I/O: that begins with the first operation."""

    def cache(self, *, max_bytes: int | None = None) -> CacheStore:
        """The place for a cache.

        Args:
            max_bytes: What it may take, if this store bounds it; None for the store's own bound.

        Raises:
            llmstack.errors.UnsupportedError: If this store keeps no caches.
        """
        ...

    def ledger(self) -> Ledger:
        """The place for accounts.

        Raises:
            llmstack.errors.UnsupportedError: If this store keeps no accounts.
        """
        ...


Opener = Callable[[str], Store]
"""Makes a store of its whole URL; ValueError if there is something wrong with that."""

_BUILT_IN = {"memory": "llmstack.stores.memory:open_memory", "sqlite": "llmstack.stores.sqlite:open_sqlite"}


def open_store(url: str, offered: Mapping[str, Opener] | None = None) -> Store:
    """The store that a URL names.

    Its scheme is looked for among those that the stack's plugins offer, the built-in ones, and at last the installed
    packages: a plugin whose entry point has the scheme's name, and that offers it by ``llmstack_stores``.

    Args:
        url: Such as ``"sqlite:///var/lib/app/llm.db"`` or ``"redis://localhost/0"``. It may hold a password.
        offered: Openers by scheme that come first; see ``llmstack_stores``.

    Raises:
        llmstack.errors.OptionError: If nobody knows the scheme, or the URL is wrong; the message does not quote it.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if not scheme:
        raise OptionError("a store is named by a URL, such as 'memory://' or 'sqlite:///path/to/file.db'")
    opener = (offered or {}).get(scheme) or _built_in(scheme) or _installed(scheme)
    if opener is None:
        known = ", ".join(f"{name}://" for name in sorted({*_BUILT_IN, *(offered or {})}))
        raise OptionError(f"no plugin offers stores at {scheme}://; known: {known}; is a package missing?")
    try:
        return opener(url)
    except (ValueError, UnsupportedError) as error:
        raise OptionError(f"the {scheme}:// store: {error}") from error


def _built_in(scheme: str) -> Opener | None:
    if scheme not in _BUILT_IN:
        return None
    module, _, name = _BUILT_IN[scheme].partition(":")
    opener: Opener = getattr(import_module(module), name)
    return opener


def _installed(scheme: str) -> Opener | None:
    """Naming a scheme in a program or config is choosing the plugin of that name."""
    if scheme not in available():
        return None
    plugin: Any = load(scheme)
    hook = getattr(plugin() if isinstance(plugin, type) else plugin, "llmstack_stores", None)
    if not callable(hook):
        return None
    found: Any = hook()
    opener: Opener | None = found.get(scheme)
    return opener
