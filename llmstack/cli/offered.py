"""The commands that plugins add by their hook ``llmstack_commands``."""

from __future__ import annotations

from typing import Any

import typer

from llmstack.cli.failure import UsageError, explained
from llmstack.cli.setting import Setting
from llmstack.cli.terminal import console


def offered(setting: Setting) -> dict[str, Any]:
    """The commands that plugins add, by name; of two with one name the outer plugin's.

    Raises:
        llmstack.errors.ConfigError: If the config file is wrong.
    """
    if setting.commands is not None:
        return setting.commands
    found: dict[str, Any] = {}
    for plugin in setting.active():
        hook = getattr(plugin, "llmstack_commands", None)
        if hook is None:
            continue
        # Each gets an application of its own, so that none can change ours.
        own = typer.Typer()
        try:
            hook(own)
            commands: dict[str, Any] = dict(typer.main.get_group(own).commands)
        except Exception as error:  # noqa: BLE001 - a broken plugin must not take the other commands away
            name = getattr(plugin, "name", type(plugin).__name__)
            text = explained(UsageError(f"plugin {name!r} could not add its commands: {type(error).__name__}: {error}"))
            console(stderr=True).print(text, style="yellow")
            continue
        found = {**commands, **found}
    setting.commands = found
    return found
