"""``llmstack new-plugin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmstack.cli.command.example import examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = examples("llmstack new-plugin acme", "llmstack new-plugin house-style --directory ~/src")
    app.command("new-plugin", epilog=epilog)(_new_plugin)


def _new_plugin(
    name: Annotated[str, typer.Argument(help="The plugin's name in a config: lower case, words joined by hyphens.")],
    *,
    directory: Annotated[
        Path | None, typer.Option("--directory", "-d", help="Where to make the package's folder; here if not given.")
    ] = None,
) -> None:
    """Make a package for a plugin of your own: ready to install, with tests that pass."""
    from llmstack.cli.new_plugin import new_plugin

    new_plugin(name, directory or Path())
