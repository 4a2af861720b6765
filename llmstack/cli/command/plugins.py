"""``llmstack plugins``."""

from __future__ import annotations

from typing import Annotated

import typer

from llmstack.cli.command.example import examples
from llmstack.cli.setting import ConfigFile, setting_of


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = examples("llmstack plugins", "llmstack --config prod.toml plugins --json")
    app.command("plugins", epilog=epilog)(_plugins)


def _plugins(
    ctx: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """List the plugins: the active ones in their order, then what else is installed."""
    from llmstack.cli.plugins import plugins

    if not plugins(setting_of(ctx), config, as_json=as_json):
        raise typer.Exit(1)
