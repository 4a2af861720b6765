"""``llmstack demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from llmstack.cli.command.example import examples
from llmstack.cli.setting import DEFAULT_MODEL


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = examples("llmstack demo", "llmstack demo --live -m gpt-5-mini")
    app.command("demo", epilog=epilog)(_demo)


def _demo(
    *,
    live: Annotated[bool, typer.Option("--live", help="Ask the real service (needs OPENAI_API_KEY).")] = False,
    model: Annotated[str, typer.Option("--model", "-m", help="The model to ask.")] = DEFAULT_MODEL,
) -> None:
    """See it work: a local server that misbehaves, and a program that does not notice."""
    from llmstack.cli.demo import demo

    if not demo(live=live, model=model):
        raise typer.Exit(1)
