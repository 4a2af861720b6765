"""Transports named in a config file: ``use`` says which, all else is for its constructor."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

from llmstack._core.transport import Transport
from llmstack._plugins.option import Table, made
from llmstack.errors import OptionError

__all__ = ["make_transport", "offered_by"]

_BUILT_IN: Final = {
    "azure": "AzureTransport",
    "chat": "ChatTransport",
    "openai": "OpenAITransport",
    "responses": "ResponsesTransport",
}


def offered_by(plugins: Iterable[object]) -> dict[str, Callable[..., Transport]]:
    """The transports that plugins offer by their hook ``llmstack_transports``; of a name the first plugin's."""
    offered: dict[str, Callable[..., Transport]] = {}
    for plugin in plugins:
        hook: Any = getattr(plugin, "llmstack_transports", None)
        if hook is not None:
            offered = {**hook(), **offered}
    return offered


def make_transport(file: Path, name: str, said: object, offered: Mapping[str, Callable[..., Transport]]) -> Transport:
    """The transport that a table of a config file describes.

    Args:
        file: The file.
        name: How the table is written there, such as ``"[transport]"``.
        said: What it says.
        offered: Transports of plugins, by the names that ``use`` may have beside those of the built-in ones.

    Raises:
        ConfigError: If it says something unknown or wrong.
    """
    if not isinstance(said, dict):
        raise OptionError(f'{file}: {name} must be a table, such as {{ use = "openai" }}')
    use = said.get("use")
    table = Table(file, name, None, {key: value for key, value in said.items() if key != "use"})
    special = partial(_inner, table, offered)
    return made(_factory(table, use, offered), table, special)  # type: ignore[no-any-return]


def _factory(table: Table, use: object, offered: Mapping[str, Callable[..., Transport]]) -> Any:
    from llmstack import transports

    known = {name: getattr(transports, kind, None) for name, kind in _BUILT_IN.items()}
    known = {name: factory for name, factory in known.items() if factory is not None} | dict(offered)
    names = ", ".join(sorted(known))
    if not isinstance(use, str):
        raise table.error(f" needs `use`, the name of a transport: {names}")
    if use not in known:
        close = difflib.get_close_matches(use, known, 1)
        meant = f"did you mean {close[0]!r}?" if close else f"there are: {names}"
        raise table.error(f" use: there is no transport {use!r}; {meant}")
    return known[use]


def _inner(table: Table, offered: Mapping[str, Callable[..., Transport]], hint: Any, key: str, value: Any) -> Any:
    """The transport for an option that takes one."""
    if Transport not in (hint, *get_args(hint)):
        return NotImplemented
    return make_transport(table.file, f"{table.name} {key}", value, offered)
