"""Choosing: the plugins that a config makes active, loaded one by one."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from llmstack._plugins.admission import Rule
from llmstack._plugins.discovery import Available, discover, find
from llmstack._plugins.guess import meant
from llmstack._plugins.mistake import Mistakes
from llmstack._plugins.option import Table, made
from llmstack._plugins.registry import Registry, as_plugin, placement, plugin_name
from llmstack._plugins.settings import RESERVED, Settings
from llmstack._plugins.transport import takes_transports
from llmstack.errors import ConfigError, OptionError, PluginNotFoundError, RegistrationError

__all__ = ["Chosen", "Skipped", "chosen", "rules_of"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A plugin that a config would have made active, and that is left out.

    Attributes:
        name: The plugin.
        origin: Its distribution and version.
        reason: Why: it is broken, or it may not be loaded.
        broken: False if it was left out on purpose: by an allow or a block list, or since it is not automatic.
    """

    name: str
    origin: str
    reason: str
    broken: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """What became of the plugins that a config names.

    Attributes:
        names: Those whose tables may stand in the config.
        plugins: Those that are active, by name, made with their options.
        skipped: The others.
    """

    names: tuple[str, ...]
    plugins: Mapping[str, Any]
    skipped: tuple[Skipped, ...]


def rules_of(settings: Settings) -> Iterator[Rule]:
    """The allow and block lists of a config.

    Raises:
        ConfigError: If one is no list of names.
    """
    for key in ("allow", "block"):
        names = settings.values.get(key)
        if names is not None:
            where = f"`{key}` in {settings.where(key)}"
            yield Rule(frozenset(_names(settings, key, names)), key == "allow", where)


def chosen(settings: Settings, mistakes: Mistakes) -> Chosen:
    """Load the plugins that a config names, and make them with their options.

    Args:
        settings: The config.
        mistakes: Takes what is wrong with it.
    """
    strict = settings.values.get("strict")
    if strict not in (None, True, False):
        raise settings.error("`strict` must be true or false", "strict")
    wanted = settings.values.get("plugins")
    offers = discover()
    auto = wanted == "auto"
    names = _offered(offers) if auto else _names(settings, "plugins", wanted)
    settings.override(names)
    plugins: dict[str, Any] = {}
    skipped: list[Skipped] = []
    for name in names:
        with mistakes.noted():
            offer = _offer(settings, name, offers)
            refused = offer.refused
            if refused is not None:
                skipped.append(Skipped(name, offer.origin, refused, broken=False))
                if not auto and "LLMSTACK_" in refused:
                    _warn(settings, skipped[-1])
                continue
            try:
                found = _loaded(name, offer)
                if auto and name not in settings.values and getattr(found, "automatic", True) is False:
                    reason = f"is active where it is named, or has a table [{name}]"
                    skipped.append(Skipped(name, offer.origin, reason, broken=False))
                    continue
                plugins[name] = _made(settings, name, offer, found)
            except RegistrationError as error:
                # Two of one name is no broken plugin: nobody can tell which of them was meant.
                if offer.rivals or strict or (strict is None and not auto):
                    error.message = f"{settings.where('plugins')}: {error.message}"
                    raise
                skipped.append(Skipped(name, offer.origin, error.message, broken=True))
                _warn(settings, skipped[-1])
    return Chosen(tuple(names), plugins, tuple(skipped))


def _names(settings: Settings, key: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        example = f'{key} = ["retry", "logging"]'
        extra = f', or "auto" for all that are installed: {key} = "auto"' if key == "plugins" else ""
        raise settings.error(f"`{key}` must be a list of names, such as {example}{extra}", key)
    twice = next((name for name in value if value.count(name) > 1), None)
    if twice is not None:
        raise settings.error(f"`{key}` names {twice!r} twice", key)
    return value


def _offered(offers: tuple[Available, ...]) -> list[str]:
    """All that are on offer, each once: those without tables of their own come with their first name."""
    return list(dict.fromkeys(offer.name for offer in offers))


def _offer(settings: Settings, name: str, offers: tuple[Available, ...]) -> Available:
    try:
        return find(name, offers)
    except PluginNotFoundError as error:
        raise PluginNotFoundError(f"{settings.where('plugins')}: {error.message}") from None


def _loaded(name: str, offer: Available) -> Any:
    if name in RESERVED:
        raise RegistrationError(f"a plugin cannot be called {name!r}: a config means something else by it", plugin=name)
    return offer.load()


def _made(settings: Settings, name: str, offer: Available, plugin: Any) -> Any:
    """The plugin, made with its options.

    Args:
        settings: The config.
        name: What the config calls it.
        offer: Where it is from.
        plugin: What was imported.

    Raises:
        RegistrationError: If the plugin is broken.
        ConfigError: If its options are.
    """
    values = settings.values.get(name, {})
    if not isinstance(values, dict):
        raise OptionError(f"{settings.where(name)}: {name} must be a table of options, [{name}]", plugin=name)
    table = Table(settings, (name,), name, values)
    if inspect.isclass(plugin):
        plugin = _instance(plugin, table, offer)
    elif values:
        raise table.error(" has options, but this plugin takes none")
    plugin = as_plugin(plugin)
    called = plugin_name(plugin)
    if called not in offer.names:
        message = f"the plugin that {offer.origin} offers as {name!r} calls itself {called!r}: give both the same name"
        raise RegistrationError(message, plugin=name)
    Registry([(name, plugin)])  # whether its hooks are right
    placement(name, plugin)
    return plugin


def _instance(plugin: type, table: Table, offer: Available) -> Any:
    broken = f"plugin {table.plugin!r} from {offer.origin} cannot be made"
    try:
        return made(plugin, table, partial(_elsewhere, table))
    except ConfigError as error:
        if table.values:
            raise
        # Nothing was said about it, so nothing that was said is wrong.
        why = error.message.removeprefix(f"{table.file}: ")
        raise RegistrationError(f"{broken} without options: {why}", plugin=table.plugin) from error
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise RegistrationError(f"{broken}: {what}", plugin=table.plugin) from error


def _elsewhere(table: Table, hint: Any, key: str, _value: Any) -> Any:
    """Options that are said in another place."""
    if not takes_transports(hint):
        return NotImplemented
    raise table.error(f" {key}: write [transports.NAME] tables; every plugin finds them by their names", key)


def _warn(settings: Settings, skipped: Skipped) -> None:
    why = skipped.reason if skipped.broken else f"plugin {skipped.name!r} from {skipped.origin} {skipped.reason}"
    warnings.warn(f"{settings.file}: left out: {why}", UserWarning, stacklevel=2)


def check_tables(settings: Settings, known: tuple[str, ...], mistakes: Mistakes) -> None:
    """Note the tables and keys that belong to nothing.

    Args:
        settings: The config.
        known: The plugins that may have a table: those that are active, here or in another profile.
        mistakes: Takes what is found.
    """
    listed = settings.values.get("plugins") != "auto"
    for key, value in settings.values.items():
        if key in RESERVED or key in known:
            continue
        shown = f"table [{key}]" if isinstance(value, dict) else f"key {key!r}"
        missing = f"add {key!r} to `plugins`, or drop it" if listed else "no package that offers it is installed"
        guess = meant(key, [*known, *RESERVED], "", "")
        with mistakes.noted():
            raise settings.error(f"{shown} belongs to no active plugin; {guess if '?' in guess else missing}", key)


def check_strangers(settings: Settings, known: tuple[str, ...], mistakes: Mistakes) -> None:
    """Note the variables that override nothing. Those for plugins that other programs use are let be."""
    from llmstack._plugins.override import shouted

    installed = {shouted(name) for offer in discover() for name in offer.names}
    for parts, override in settings.strangers:
        if parts[0].upper() not in installed:
            guess = meant(parts[0].lower(), [*known, "transport", "transports"], "the config's plugins are", "")
            with mistakes.noted():
                message = f"{override.variable}: there is no plugin {parts[0].lower()!r} to override; {guess}"
                raise ConfigError(message)
