"""Printing: a stack as the config file that describes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmstack._core.configurable import TellsOptions
from llmstack._core.order import resolve
from llmstack._core.transport import Transport
from llmstack._plugins.discovery import load
from llmstack._plugins.hint import hints_of
from llmstack._plugins.mistake import Mistakes
from llmstack._plugins.origin import made_of
from llmstack._plugins.override import Override
from llmstack._plugins.registry import FunctionPlugin, placement
from llmstack._plugins.spelling import Options, option_lines
from llmstack._plugins.toml import key, literal
from llmstack._plugins.transport import factories, offered_by, takes_transport, takes_transports
from llmstack.errors import ConfigError

if TYPE_CHECKING:
    from llmstack.stack import Stack

__all__ = ["to_toml"]


def to_toml(stack: Stack) -> str:
    """The config that describes a stack. Read back, it gives the same.

    No secret is printed. One that a config gave by reference is printed as that reference; one that the program gave
    is left out, and a comment says so.

    Args:
        stack: Any stack.

    Returns:
        TOML. Transports that a plugin was given by name (`Route`) are printed as the stack's, ``[transports.NAME]``.

    Raises:
        llmstack.errors.ConfigError: If a config cannot say it: a plugin is not an installed one or does not tell its
            options (`llmstack.Configurable`), an option is an object of the program's, or the order in which the
            program listed the plugins is not the one that they declare. It says all of it.
    """
    mistakes = Mistakes()
    _check_order(stack, mistakes)
    tables: list[str] = [f"plugins = {literal(list(stack.plugins))}\n"]
    for name, plugin in stack.plugins.items():
        with mistakes.noted():
            lines = _plugin_lines(name, plugin)
            tables.append(_table((name,), lines) if lines else "")
    tables += _transport_tables(stack, mistakes)
    if mistakes.found:
        listed = "".join(f"\n  {error.message}" for error in mistakes.found)
        raise ConfigError(f"no config file can say what this stack is:{listed}")
    return "\n".join(table for table in tables if table)


def _table(path: Sequence[str], lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in (f"[{'.'.join(map(key, path))}]", *lines))


def _check_order(stack: Stack, mistakes: Mistakes) -> None:
    written = list(stack.plugins)
    with mistakes.noted():
        declared = resolve(placement(name, plugin) for name, plugin in stack.plugins.items())
        if written != declared:
            raise ConfigError(
                f"its plugins stand in the order {', '.join(written)}, but a config's stand in the order that they "
                f"declare: {', '.join(declared)}"
            )


def _plugin_lines(name: str, plugin: Any) -> list[str]:
    who = f"plugin {name!r}"
    try:
        offered = load(name)
    except ConfigError as error:
        raise ConfigError(f"{who}: {error.message}") from error
    if not inspect.isclass(offered):
        if plugin is offered or (isinstance(plugin, FunctionPlugin) and plugin.function is offered):
            return []
        raise ConfigError(f"{who} is not the one that is installed under this name")
    if type(plugin) is not offered:
        raise ConfigError(f"{who} is a {type(plugin).__qualname__}; in a config it is a {offered.__qualname__}")
    options = _options(who, plugin)
    apart = _names_transports(plugin)
    rest = {option: value for option, value in options.values.items() if option not in apart}
    return option_lines(who, offered, Options(rest, written=options.written))


def _names_transports(plugin: object) -> set[str]:
    """The options of a plugin that take transports by name."""
    return {name for name, hint in hints_of(type(plugin)).items() if takes_transports(hint)}


def _options(who: str, thing: Any) -> Options:
    """What an object was made with: the table that it was made of, or what it tells."""
    table = made_of(thing)
    if table is not None:
        return Options(table, written=True)
    if isinstance(thing, TellsOptions):
        return Options(thing.given_options(), written=False)
    if not inspect.signature(type(thing)).parameters:
        return Options({}, written=False)
    raise ConfigError(f"{who} does not tell its options: its class should inherit llmstack.Configurable")


# Transports -----------------------------------------------------------------------------------------------------


def _transport_tables(stack: Stack, mistakes: Mistakes) -> Iterator[str]:
    with mistakes.noted():
        kinds = factories(offered_by(stack.plugins.values()))
        tables = list(_place(("transport",), stack.transport, kinds))
        # Without options it is the one that a stack has if nothing is said.
        yield from tables if tables != ['[transport]\nuse = "openai"\n'] else []
        for name, transport in _named_transports(stack, mistakes).items():
            with mistakes.noted():
                yield from _place(("transports", name), transport, kinds)


def _named_transports(stack: Stack, mistakes: Mistakes) -> dict[str, Any]:
    """The named transports of the stack and of its plugins: in a config all are the stack's."""
    found: dict[str, Any] = dict(stack.transports)
    for plugin in stack.plugins.values():
        given = plugin.given_options() if isinstance(plugin, TellsOptions) else {}
        for option in _names_transports(plugin):
            for name, transport in (given.get(option) or {}).items():
                with mistakes.noted():
                    if found.setdefault(name, transport) is not transport:
                        raise ConfigError(f"two of its transports are called {name!r}: give one another name")
    return found


def _place(path: tuple[str, ...], thing: Any, kinds: Mapping[str, Callable[..., Transport]]) -> Iterator[str]:
    """The table of a transport, then those of the transports in it.

    Args:
        path: The table's keys.
        thing: The transport, or the table that it was made of.
        kinds: All transports that there are.
    """
    who = f"the {'.'.join(path)}" if path[0] == "transport" else f"the transport {path[1]!r}"
    if isinstance(thing, Mapping):
        options, use = Options(thing, written=True), thing.get("use")
    else:
        options, use = _transport_options(who, thing, kinds)
    use = use.text if isinstance(use, Override) else str(use)
    factory = kinds[use]
    hints = hints_of(factory)
    inner = {name: value for name, value in options.values.items() if takes_transport(hints.get(name)) and value}
    rest = {name: value for name, value in options.values.items() if name != "use" and name not in inner}
    yield _table(path, [f"use = {literal(use)}", *option_lines(who, factory, Options(rest, written=options.written))])
    for name, value in inner.items():
        yield from _place((*path, name), value, kinds)


def _transport_options(
    who: str, thing: object, kinds: Mapping[str, Callable[..., Transport]]
) -> tuple[Options, str | Override]:
    """The options of a transport, and what it is called."""
    table = made_of(thing)
    if table is not None:
        return Options(table, written=True), table["use"]
    name = _name_of(who, thing, kinds)
    return _options(who, thing), name


def _name_of(who: str, thing: object, kinds: Mapping[str, Callable[..., Transport]]) -> str:
    for name, kind in kinds.items():
        if kind is type(thing):
            return name
    raise ConfigError(f"{who} is a {type(thing).__qualname__}, which neither llmstack nor one of the plugins offers")
