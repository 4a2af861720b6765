"""The command line: ``llmstack demo``, ``llmstack call``, and whatever the plugins add."""

from __future__ import annotations

import sys

__all__ = ["main"]

_EXTRA = frozenset({"typer", "rich", "shellingham"})


def main() -> None:
    """Run the command line; the console script ``llmstack``."""
    try:
        from llmstack.cli.app import build
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.exit("The llmstack command needs typer and rich: pip install 'llmstack-openai[cli]'")
    build()(prog_name="llmstack")
