"""``llmstack usage``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmstack.cli.command.example import examples
from llmstack.cli.failure import UsageError
from llmstack.cli.setting import ConfigFile, setting_of


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = examples(
        "llmstack usage --since month --by model --by team",
        "llmstack usage --store sqlite:///var/lib/app/llm.db --html usage.html",
    )
    app.command("usage", epilog=epilog)(_usage)


def _usage(  # noqa: PLR0913 - typer makes a command's options of its parameters
    ctx: typer.Context,
    *,
    store: Annotated[
        # A backslash, or the brackets would be markup.
        str | None, typer.Option(help="URL of the ledger; else that of the config's \\[budget].")
    ] = None,
    since: Annotated[str, typer.Option(help="24h, 7d, 4w; today, month, year, all; 2026-11-01.")] = "30d",
    until: Annotated[str | None, typer.Option(help="The same; not included. Now, if not given.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", "-b", help="model, tenant, day, endpoint, host, outcome, or a tag; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with charts to this file.")] = None,
    config: ConfigFile = None,
) -> None:
    """Show what was spent."""
    if as_json + as_csv + (html is not None) > 1:
        raise UsageError("choose one of --json, --csv and --html")
    from llmstack.cli.usage import Asked, ledger_of, usage

    setting = setting_of(ctx)
    setting.config = config or setting.config
    ledger = ledger_of(store, () if store is not None else tuple(setting.active()))
    form = "json" if as_json else "csv" if as_csv else "tables"
    try:
        usage(ledger, Asked(since, until, by or (), form, html))
    finally:
        ledger.close()
