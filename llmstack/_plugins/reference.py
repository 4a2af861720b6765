"""References: what stands in a config file for a text that does not belong there, such as a key.

``env:NAME`` is the value of an environment variable, ``file:PATH`` the content of a file, without white space around
it; a relative path starts from the config file. What they lead to is taken for a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from llmstack._core.secret import register
from llmstack.errors import ConfigError

__all__ = ["resolved"]

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
        register(text)
        return text
    if isinstance(value, dict):
        return {key: resolved(item, where=f"{where}.{key}", config=config) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, where=where, config=config) for item in value]
    return value


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


_KINDS: Final[dict[str, Callable[[str, str, Path], str]]] = {"env": _variable, "file": _content}
