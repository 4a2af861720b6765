"""What stands before a command: ``llmstack --config PATH --debug COMMAND``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer passes it so
    if not value:
        return
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    typer.echo(f"llmstack {version('llmstack-openai')} (openai {version('openai')}, Python {python})")
    raise typer.Exit


def root(
    config: Annotated[
        Path | None,
        # Eager, so that the help shows the commands of its plugins.
        typer.Option(is_eager=True, help="Config file of the stack; else LLMSTACK_CONFIG, else ./llmstack.toml."),
    ] = None,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions.")
    ] = False,
) -> None:
    """A plugin-based middleware stack around the OpenAI SDK."""
