"""Config: a stack described by a TOML file.

    plugins = ["retry", "logging"]

    [retry]
    attempts = 4

    [transport]
    use = "azure"
    endpoint = "https://example.openai.azure.com"
    api = "v1"
    api_key = "env:AZURE_KEY"

A file is read only from a path that the program or its user named; the command line also takes ``./llmstack.toml``.
Each table gives the options of the plugin of its name, checked against the plugin's constructor; ``[transport]`` says
where calls go, ``[transports.NAME]`` where a route may send them.
"""

from __future__ import annotations

import difflib
import inspect
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Final

from llmstack._core.transport import Transport
from llmstack._plugins.discovery import load
from llmstack._plugins.option import Table, made
from llmstack._plugins.transport import make_transport, offered_by
from llmstack.errors import ConfigError, OptionError

_RESERVED: Final = ("plugins", "transport", "transports")


@dataclass(frozen=True, slots=True)
class Config:
    """What a config file says.

    Attributes:
        path: The file.
        plugins: The plugins it names, made with their options.
        transport: Where calls go; None for the connection of the client that makes the call.
        transports: Other transports, by name.
    """

    path: Path
    plugins: tuple[Any, ...]
    transport: Transport | None = None
    transports: Mapping[str, Transport] = field(default_factory=dict[str, Transport])


def read_config(path: str | PathLike[str]) -> Config:
    """Read a config file and make its plugins and transports.

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
    transport, transports = data.pop("transport", None), data.pop("transports", {})
    for key, value in data.items():
        if key not in names:
            raise ConfigError(f"{file}: {_unknown(key, value, names)}")
    plugins = tuple(_make(file, name, data.get(name, {})) for name in names)
    offered = offered_by(plugins)
    if not isinstance(transports, dict):
        raise OptionError(f"{file}: `transports` must be tables by name, [transports.NAME]")
    return Config(
        file,
        plugins,
        None if transport is None else make_transport(file, "[transport]", transport, offered),
        {name: make_transport(file, f"[transports.{name}]", said, offered) for name, said in transports.items()},
    )


def _unknown(key: str, value: object, names: Iterable[str]) -> str:
    shown = f"table [{key}]" if isinstance(value, dict) else f"key {key!r}"
    close = difflib.get_close_matches(key, [*names, *_RESERVED], 1)
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
    return made(plugin, Table(file, f"[{name}]", name, options))
