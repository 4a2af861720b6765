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

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmstack._core.transport import Transport
from llmstack._plugins.admission import Rule, admitting
from llmstack._plugins.choice import Skipped, check_strangers, check_tables, chosen, rules_of
from llmstack._plugins.discovery import discover
from llmstack._plugins.mistake import Mistakes
from llmstack._plugins.option import Table, named_in
from llmstack._plugins.settings import Settings, read_settings
from llmstack._plugins.transport import make_transport, offered_by
from llmstack.errors import ConfigError, OptionError

if TYPE_CHECKING:
    from llmstack.stack import Stack

__all__ = ["Config", "read_config"]

S = TypeVar("S", bound="Stack")


@dataclass(frozen=True, slots=True)
class Config:
    """What a config says.

    Attributes:
        path: The file.
        plugins: The plugins it names, made with their options.
        transport: Where calls go; None for the connection of the client that makes the call.
        transports: Other transports, by name.
        profile: The profile that was chosen; None for none.
        profiles: The profiles that it has.
        skipped: Plugins that are left out, with the reasons.
        rules: Its allow and block lists.
        settings: What it says, to tell where something is said.
    """

    path: Path
    plugins: tuple[Any, ...]
    transport: Transport | None = None
    transports: Mapping[str, Transport] = field(default_factory=dict[str, Transport])
    profile: str | None = None
    profiles: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    rules: tuple[Rule, ...] = ()
    settings: Settings | None = field(default=None, repr=False)

    def build(self, kind: type[S]) -> S:
        """The stack. Its lists hold for what plugins load meanwhile, such as stores.

        Args:
            kind: The class of the stack.

        Raises:
            ConfigError: If it cannot be built; it names the file, and the table of the plugin that cannot be.
        """
        with admitting(self.rules):
            try:
                return kind.ordered(self.plugins, transport=self.transport, transports=self.transports)
            except ConfigError as error:
                error.message = self._located(error)
                raise

    def _located(self, error: ConfigError) -> str:
        """What an error says, with the place that it speaks of."""
        said = None if self.settings is None or error.plugin is None else self.settings.values.get(error.plugin)
        if self.settings is None or error.plugin is None or not isinstance(said, dict):
            return f"{self.path}: {error.message}"
        table = Table(self.settings, (error.plugin,), error.plugin, said)
        keys = named_in(error.message, table)
        before = " " if keys and error.message.startswith(f"{keys[0]}: ") else ": "
        return table.error(f"{before}{error.message}", *keys).message


def read_config(path: str | PathLike[str], profile: str | None = None) -> Config:
    """Read a config file and make its plugins and transports.

    Args:
        path: The TOML file.
        profile: The profile; that of ``LLMSTACK_PROFILE`` if not given.

    Raises:
        ConfigError: If it cannot be read, is no TOML, or says something unknown or wrong.
    """
    settings = read_settings(path, profile)
    rules = tuple(rules_of(settings))
    mistakes = Mistakes()
    with admitting(rules):
        found = chosen(settings, mistakes)
        known = (*found.names, *_elsewhere(settings))
        check_tables(settings, known, mistakes)
        check_strangers(settings, found.names, mistakes)
        plugins = tuple(found.plugins.values())
        transport, transports = _transports(settings, plugins, mistakes)
    mistakes.settle(settings.file)
    return Config(
        path=settings.file,
        plugins=plugins,
        transport=transport,
        transports=transports,
        profile=settings.profile,
        profiles=tuple(settings.profiles),
        skipped=found.skipped,
        rules=rules,
        settings=settings,
    )


def _elsewhere(settings: Settings) -> list[str]:
    """Plugins that are active in another profile, or in none: their tables wait for it."""
    lists = [table.get("plugins") for table in (settings.document.values, *settings.profiles.values())]
    if "auto" in lists:
        return [name for offer in discover() for name in offer.names]
    return [name for names in lists if isinstance(names, list) for name in names if isinstance(name, str)]


def _transports(
    settings: Settings, plugins: tuple[Any, ...], mistakes: Mistakes
) -> tuple[Transport | None, dict[str, Transport]]:
    try:
        offered = offered_by(plugins)
    except ConfigError as error:
        error.message = f"{settings.where('plugins')}: {error.message}"
        raise
    transport: Transport | None = None
    transports: dict[str, Transport] = {}
    said, others = settings.values.get("transport"), settings.values.get("transports", {})
    if said is not None:
        with mistakes.noted():
            transport = make_transport(settings, ("transport",), said, offered)
    if not isinstance(others, dict):
        where = settings.where("transports")
        raise OptionError(f"{where}: `transports` must be tables by name, [transports.NAME]")
    for name, table in others.items():
        with mistakes.noted():
            transports[name] = make_transport(settings, ("transports", name), table, offered)
    return transport, transports
