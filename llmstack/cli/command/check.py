"""``llmstack check``."""

from __future__ import annotations

from typing import Annotated

import typer

from llmstack.cli.command.example import examples
from llmstack.cli.setting import ConfigFile, setting_of


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = examples("llmstack check", "llmstack check --config prod.toml -m gpt-5-mini -m my-llama")
    app.command("check", epilog=epilog)(_check)


def _check(
    ctx: typer.Context,
    *,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="A model whose price must be known; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: ConfigFile = None,
) -> None:
    """Find out whether the stack would work: config, plugins, stores, keys, prices. Exit status 1 if not."""
    from llmstack.cli.check import check

    if not check(setting_of(ctx), config, models=model or (), as_json=as_json):
        raise typer.Exit(1)
