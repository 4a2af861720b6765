"""Transports named in a config: ``use`` says which, all else is for its constructor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, get_args, get_origin

from llmstack._core.transport import Transport
from llmstack._plugins.guess import meant
from llmstack._plugins.option import Table, made
from llmstack._plugins.origin import remember
from llmstack._plugins.override import Override
from llmstack._plugins.registry import plugin_name
from llmstack._plugins.settings import Settings
from llmstack.errors import RegistrationError

__all__ = ["factories", "make_transport", "offered_by", "takes_transport", "takes_transports"]

_BUILT_IN: Final = {
    "azure": "AzureTransport",
    "chat": "ChatTransport",
    "openai": "OpenAITransport",
    "responses": "ResponsesTransport",
}


def offered_by(plugins: Iterable[object]) -> dict[str, Callable[..., Transport]]:
    """The transports that plugins offer by their hook ``llmstack_transports``; of a name the first plugin's.

    Raises:
        RegistrationError: If one cannot tell.
    """
    offered: dict[str, Callable[..., Transport]] = {}
    for plugin in plugins:
        hook: Any = getattr(plugin, "llmstack_transports", None)
        if hook is None:
            continue
        try:
            offered = {**hook(), **offered}
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            message = f"plugin {plugin_name(plugin)!r} cannot tell which transports it offers: {what}"
            raise RegistrationError(message, plugin=plugin_name(plugin)) from error
    return offered


def factories(offered: Mapping[str, Callable[..., Transport]]) -> dict[str, Callable[..., Transport]]:
    """All transports that ``use`` may name: the built-in ones, then those that plugins offer."""
    from llmstack import transports

    return {name: getattr(transports, kind) for name, kind in _BUILT_IN.items()} | dict(offered)


def make_transport(
    settings: Settings, path: tuple[str, ...], said: object, offered: Mapping[str, Callable[..., Transport]]
) -> Transport:
    """The transport that a table of a config describes.

    Args:
        settings: The config.
        path: The table's keys.
        said: What it says.
        offered: Transports of plugins, by the names that ``use`` may have beside those of the built-in ones.

    Raises:
        ConfigError: If it says something unknown or wrong.
    """
    if not isinstance(said, dict):
        raise Table(settings, path, None, {}).error(' must be a table, such as { use = "openai" }')
    table = Table(settings, path, None, {key: value for key, value in said.items() if key != "use"})
    use = said.get("use")
    use = use.text if isinstance(use, Override) else use
    known = factories(offered)
    names = ", ".join(sorted(known))
    if not isinstance(use, str):
        raise table.error(f" needs `use`, the name of a transport: {names}", "use")
    if use not in known:
        guess = meant(use, sorted(known), "there are", "")
        raise table.error(f" use: there is no transport {use!r}; {guess}", "use")
    transport: Transport = made(known[use], table, partial(_inner, table, offered))
    return remember(transport, said)


def takes_transport(hint: Any) -> bool:
    """Whether an option takes a transport."""
    return Transport in (hint, *get_args(hint))


def takes_transports(hint: Any) -> bool:
    """Whether an option takes transports by name. A config says them as ``[transports.NAME]``."""
    tables = (kind for kind in (hint, *get_args(hint)) if get_origin(kind) is Mapping)
    return any(Transport in get_args(table) for table in tables)


def _inner(table: Table, offered: Mapping[str, Callable[..., Transport]], hint: Any, key: str, value: Any) -> Any:
    """The transport for an option that takes one."""
    if not takes_transport(hint):
        return NotImplemented
    return make_transport(table.settings, (*table.path, key), value, offered)
