"""Setting: what holds for every command of one run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmstack.cli.failure import warnings_shown

if TYPE_CHECKING:
    from llmstack import Stack

CONFIG = Path("llmstack.toml")
"""The config file taken from the working directory if none is named."""
DEFAULT_MODEL = "gpt-5-mini"

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Config file of the stack.")]
"""The option of a command that reads the config."""


@dataclass(slots=True)
class Setting:
    """What holds for every command of one run.

    Attributes:
        plugins: Plugins whose commands are offered instead of those of the configured stack.
        config: The config file named before the command.
        debug: True to show tracebacks.
        commands: The plugins' commands, once they have been asked for.
    """

    plugins: Iterable[object] | None = None
    config: Path | None = None
    debug: bool = False
    commands: dict[str, Any] | None = field(default=None, repr=False)

    def config_file(self, named: Path | None = None) -> Path | None:
        """The config file in force: named for the command, before it, by the environment, or here."""
        environment = os.environ.get("LLMSTACK_CONFIG")
        found = named or self.config or (Path(environment) if environment else None)
        return found or (CONFIG if CONFIG.is_file() else None)

    def open_stack(self, named: Path | None = None) -> Stack:
        """The configured stack; the default one if there is no config file.

        Raises:
            llmstack.errors.ConfigError: If the config file is wrong.
        """
        from llmstack import Stack

        file = self.config_file(named)
        with warnings_shown():
            return Stack.default() if file is None else Stack.from_config(file)

    def active(self) -> Iterable[object]:
        """The plugins given to this run, else those of the configured stack.

        Raises:
            llmstack.errors.ConfigError: If the config file is wrong.
        """
        return self.open_stack().plugins.values() if self.plugins is None else self.plugins


def setting_of(ctx: Any) -> Setting:
    """The setting of the run that a command belongs to."""
    setting: Setting = ctx.find_root().obj
    setting.config = ctx.find_root().params.get("config") or setting.config
    setting.debug = ctx.find_root().params.get("debug", False) or setting.debug
    return setting
