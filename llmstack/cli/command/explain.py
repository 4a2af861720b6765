"""``llmstack explain``."""

from __future__ import annotations

import typer

from llmstack.cli.command.example import examples
from llmstack.cli.setting import ConfigFile, setting_of


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=examples("llmstack explain", "llmstack explain --config prod.toml"))(_explain)


def _explain(ctx: typer.Context, *, config: ConfigFile = None) -> None:
    """Draw the stack that the config builds, and the way of a call through it."""
    from llmstack.cli.explain import explain

    explain(setting_of(ctx), config)
