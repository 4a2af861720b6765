"""Settings: what holds in the end, of a config file, the profile chosen in it, and the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

from llmstack._plugins.document import Document, read_document
from llmstack._plugins.guess import meant
from llmstack._plugins.override import Override, overrides, shouted, spoken
from llmstack.errors import ConfigError

__all__ = ["RESERVED", "Settings", "read_settings"]

RESERVED: Final = ("plugins", "allow", "block", "strict", "transport", "transports", "profile")
"""Keys of a config that name no plugin."""

_PLACES: Final = ("transport", "transports")


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What a config says, all taken together.

    Attributes:
        document: The file.
        profile: The profile chosen; None for none.
        profiles: What the file's profiles say, by name.
        values: What holds; an option that the environment overrides is an `Override`.
        strangers: Overrides whose table the file does not have; they may be for a plugin without one.
    """

    document: Document
    profile: str | None
    profiles: Mapping[str, Mapping[str, Any]]
    values: dict[str, Any]
    strangers: list[tuple[tuple[str, ...], Override]]

    @property
    def file(self) -> Path:
        """The file, as it was named."""
        return self.document.file

    def where(self, *path: str) -> str:
        """Where something is said, for the beginning of an error: file and line, or a variable."""
        value: Any = self.values
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
            if isinstance(value, Override):
                return value.variable
        chosen = () if self.profile is None else (("profile", self.profile),)
        return self.document.where(path, (*chosen, ()))

    def error(self, message: str, *path: str) -> ConfigError:
        """An error about what is said under some keys."""
        return ConfigError(f"{self.where(*path)}: {message}")

    def override(self, names: Iterable[str]) -> None:
        """Take the overrides for plugins that have no table in the file.

        Args:
            names: The active plugins.
        """
        left: list[tuple[tuple[str, ...], Override]] = []
        for parts, override in self.strangers:
            table = next((name for name in names if shouted(name) == parts[0].upper()), None)
            if table is None:
                left.append((parts, override))
            else:
                _put(self.values, parts, override, {table: None})
        self.strangers[:] = left


def read_settings(path: str | PathLike[str], profile: str | None = None) -> Settings:
    """Read a config file and all that goes before it.

    Args:
        path: The file.
        profile: The profile; that of ``LLMSTACK_PROFILE`` if not given.

    Raises:
        ConfigError: If the file cannot be read, or has no such profile.
    """
    document = read_document(path)
    values = dict(document.values)
    profiles = _profiles(document, values.pop("profile", {}))
    chosen = profile or os.environ.get("LLMSTACK_PROFILE") or None
    if chosen is not None:
        if chosen not in profiles:
            named = "" if profile else " (named by LLMSTACK_PROFILE)"
            known = meant(chosen, profiles, "there are", "there are none: write [profile.NAME] tables")
            raise ConfigError(f"{document.file} has no profile {chosen!r}{named}; {known}")
        values = _merged(values, profiles[chosen])
    tables = [*(key for key, value in values.items() if isinstance(value, dict)), *_PLACES]
    strangers: list[tuple[tuple[str, ...], Override]] = []
    changes: dict[str, Any] = {}
    for parts, override in overrides(os.environ):
        if spoken(parts[0], tables) in tables:
            _put(changes, parts, override, {**dict.fromkeys(_PLACES), **values})
        else:
            strangers.append((parts, override))
    return Settings(document, chosen, profiles, _merged(values, changes), strangers)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any], *, place: bool = False) -> dict[str, Any]:
    """One table over another: tables in both are merged, all else is replaced.

    A transport's table that names another kind takes the place of the whole: the options of the one mean nothing to
    the other.
    """
    if place and "use" in over and "use" in under and _said(over["use"]) != under["use"]:
        return dict(over)
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = _merged(below, value, place=place or key in _PLACES)
        else:
            result[key] = value
    return result


def _said(value: Any) -> Any:
    return value.readings[-1] if isinstance(value, Override) else value


def _profiles(document: Document, said: Any) -> dict[str, Mapping[str, Any]]:
    if not isinstance(said, dict) or not all(isinstance(table, dict) for table in said.values()):
        raise ConfigError(f"{document.where(('profile',))}: `profile` must be tables by name, [profile.NAME]")
    for name, table in said.items():
        if "profile" in table:
            where = document.where(("profile", name, "profile"))
            raise ConfigError(f"{where}: [profile.{name}] cannot have profiles of its own")
    return said


def _put(values: dict[str, Any], parts: tuple[str, ...], override: Override, known: Any = None) -> None:
    """Put an override under its keys, which are called as those that are known already."""
    for part in parts[:-1]:
        key = spoken(part, known if isinstance(known, Mapping) else ())
        known = known.get(key) if isinstance(known, Mapping) else None
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            inner = values[key] = {}  # a shorter name said it all already; the longer one says more
        values = inner
    values[spoken(parts[-1], known if isinstance(known, Mapping) else ())] = override
