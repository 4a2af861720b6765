"""Config: a stack described by a TOML file.

    plugins = ["retry", "logging"]

    [retry]
    attempts = 4

A file is read only from a path that the program or its user named; the command line also takes ``./llmstack.toml``.
Each table gives the options of the plugin of its name, checked against the plugin's constructor.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from llmstack._plugins.discovery import load
from llmstack.errors import ConfigError, OptionError


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says.

    Attributes:
        path: The file.
        plugins: The plugins it names, made with their options.
    """

    path: Path
    plugins: tuple[Any, ...]


def read_config(path: str | PathLike[str]) -> Config:
    """Read a config file and make its plugins.

    Args:
        path: The TOML file.

    Raises:
        ConfigError: If it cannot be read, is no TOML, or says something unknown or wrong.
    """
    file = Path(path)
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config file {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no valid TOML: {error}") from error
    names = data.pop("plugins", None)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f'{file}: `plugins` must be a list of names, such as plugins = ["retry", "logging"]')
    for key, value in data.items():
        if key not in names:
            raise ConfigError(f"{file}: {_unknown(key, value, names)}")
    return Config(file, tuple(_make(file, name, data.get(name, {})) for name in names))


def _unknown(key: str, value: object, names: Iterable[str]) -> str:
    shown = f"table [{key}]" if isinstance(value, dict) else f"key {key!r}"
    close = difflib.get_close_matches(key, [*names, "plugins"], 1)
    meant = f"did you mean {close[0]!r}?" if close else f"add {key!r} to `plugins`, or drop it"
    return f"{shown} belongs to no active plugin; {meant}"


def _make(file: Path, name: str, options: object) -> object:
    plugin = load(name)
    if not isinstance(options, dict):
        raise OptionError(f"{file}: {name} must be a table of options, [{name}]", plugin=name)
    if not inspect.isclass(plugin):
        if options:
            raise OptionError(f"{file}: [{name}] has options, but this plugin takes none", plugin=name)
        return plugin
    checked = _checked(file, name, plugin, options)
    try:
        return plugin(**checked)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{file}: [{name}]: {error}", plugin=name) from error


def _checked(file: Path, name: str, plugin: type, options: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(plugin).parameters
    hints = get_type_hints(inspect.getattr_static(plugin, "__init__"))
    checked: dict[str, Any] = {}
    for key, value in options.items():
        if key not in parameters:
            raise OptionError(f"{file}: [{name}] has no option {key!r}; {_meant(key, parameters)}", plugin=name)
        hint = hints.get(key, Any)
        for inner in _unknown_inside(hint, value):
            known = [field.name for kind in _dataclasses_in(hint) for field in dataclasses.fields(kind)]
            raise OptionError(f"{file}: [{name}] {key} has no {inner!r}; {_meant(inner, known)}", plugin=name)
        try:
            checked[key] = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            last = problem["loc"][-1] if problem["loc"] else None
            where = f"{key}.{last}" if isinstance(value, Mapping) and last in value else key
            raise OptionError(f"{file}: [{name}] {where}: {problem['msg']}", plugin=name) from error
    return checked


def _meant(key: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(key, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"it takes: {', '.join(names) or 'no options'}"


def _dataclasses_in(hint: Any) -> list[Any]:
    """The dataclasses among the types of an option: their fields are what a table for it may say."""
    return [kind for kind in (hint, *get_args(hint)) if inspect.isclass(kind) and dataclasses.is_dataclass(kind)]


def _unknown_inside(hint: Any, value: Any) -> list[str]:
    """Keys of a table that no dataclass of the option has; early versions of pydantic pass them over."""
    kinds = _dataclasses_in(hint)
    if not isinstance(value, dict) or not kinds:
        return []
    known = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    return [key for key in value if key not in known]
