"""References: what stands in a config file for a text that does not belong there, such as a key.

``env:NAME`` is the value of an environment variable, ``file:PATH`` the content of a file, without white space around
it; a relative path starts from the config file; ``keyring:SERVICE/USER`` is a password that the system keeps, asked of
the package keyring. What they lead to is taken for a secret, unless it is no more than an address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from llmstack._core.secret import register
from llmstack.errors import ConfigError

__all__ = ["is_reference", "resolved"]

_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.:-]*(?:/[a-z0-9./-]{0,16})?")
"""An address without a password and a query; a longer path may be a secret, as those of webhooks are."""

_LONGEST: Final = 64 * 1024
"""Bytes of the largest file that is taken for a secret; another one was named by mistake."""


def resolved(value: Any, *, where: str, config: Path) -> Any:
    """A value with all references in it followed, at any depth.

    Args:
        value: What the config file says: text, numbers, lists, tables.
        where: File, table and key, for errors.
        config: The config file.

    Raises:
        ConfigError: If a reference leads nowhere. It names the variable or the file, never what is in it.
    """
    if isinstance(value, str):
        kind, colon, name = value.partition(":")
        follow = _KINDS.get(kind) if colon else None
        if follow is None:
            return value
        text = follow(name, f'{where} = "{value}"', config)
        if not _is_public(text):
            register(text)
        return text
    if isinstance(value, dict):
        return {key: resolved(item, where=f"{where}.{key}", config=config) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, where=where, config=config) for item in value]
    return value


def _is_public(text: str) -> bool:
    """Whether a text is no more than an address, such as that of a store: to blot it out would only confuse."""
    return _ADDRESS.fullmatch(text) is not None


def is_reference(text: str) -> bool:
    """Whether a text stands for another one."""
    kind, colon, _ = text.partition(":")
    return bool(colon) and kind in _KINDS


def _variable(name: str, where: str, _: Path) -> str:
    text = os.environ.get(name, "")
    if not text:
        raise ConfigError(f"{where}: the environment variable {name or 'without a name'} is not set, or is empty")
    return text


def _content(name: str, where: str, config: Path) -> str:
    path = config.parent / Path(name).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
        text = data.decode("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{where}: cannot read {path}: {error.strerror or type(error).__name__}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {path} is no text in UTF-8") from None
    if not text or len(data) > _LONGEST:
        raise ConfigError(f"{where}: {path} {'holds more than a secret' if text else 'is empty'}")
    return text


def _password(name: str, where: str, _: Path) -> str:
    service, slash, user = name.rpartition("/")
    if not (service and slash and user):
        raise ConfigError(f'{where}: a password of the keyring is named by "keyring:SERVICE/USER"')
    try:
        keyring: Any = import_module("keyring")
    except ImportError as error:
        message = f"{where}: the package keyring is not installed; install it (pip install keyring), or use env:NAME"
        raise ConfigError(message) from error
    try:
        password: str | None = keyring.get_password(service, user)
    except Exception as error:  # whatever the system's keyring raises
        # Its text is not quoted: each system's backend has its own, and some tell what they were asked for.
        raise ConfigError(f"{where}: the keyring cannot be read ({type(error).__name__})") from error
    if not password:
        raise ConfigError(f"{where}: the keyring has no password of {user!r} for {service!r}")
    return password


_KINDS: Final[dict[str, Callable[[str, str, Path], str]]] = {"env": _variable, "file": _content, "keyring": _password}
