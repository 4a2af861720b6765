"""``llmstack config``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmstack.cli.command.example import examples
from llmstack.cli.setting import CONFIG, ConfigFile, setting_of


def add_to(app: typer.Typer) -> None:
    """Add the command and those below it."""
    group = typer.Typer(no_args_is_help=True, help="Write, show and describe config files.")
    group.command("init", epilog=examples("llmstack config init", "llmstack config init conf/prod.toml"))(_init)
    group.command("show", epilog=examples("llmstack config show", "llmstack config show --config prod.toml"))(_show)
    group.command("schema", epilog=examples("llmstack config schema > llmstack.schema.json"))(_schema)
    app.add_typer(group, name="config")


def _init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = CONFIG,
    *,
    force: Annotated[bool, typer.Option("--force", "-f", help="Write over a file that is there.")] = False,
) -> None:
    """Write a config file to begin with: the default stack, and what else there is as comments."""
    from llmstack.cli.config import init

    init(path, force=force)


def _show(ctx: typer.Context, *, config: ConfigFile = None) -> None:
    """Show the config in force as TOML; keys only as the references that they are."""
    from llmstack.cli.config import show

    show(setting_of(ctx).config_file(config))


def _schema() -> None:
    """Print the JSON Schema of config files, with the options of every installed plugin, for editors."""
    from llmstack.cli.config import schema

    schema()
