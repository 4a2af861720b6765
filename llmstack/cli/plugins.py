"""`llmstack plugins`: the active plugins in their order, and what else is installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from llmstack.cli.catalogue import Listed, active, checked, installed
from llmstack.cli.failure import show_failure
from llmstack.cli.setting import Setting
from llmstack.cli.terminal import console
from llmstack.cli.text import escaped


def plugins(setting: Setting, config: Path | None, *, as_json: bool) -> bool:
    """List the plugins.

    Args:
        setting: The setting of this run.
        config: The config file named for the command.
        as_json: True for JSON, False for text.

    Returns:
        True if the config is good; else what is installed is listed all the same, and the errors are told.
    """
    file = setting.config_file(config)
    found = checked(file)
    listed: list[Listed] = []
    if found.stack is not None:
        with found.stack as stack:
            listed = active(stack)
    others = installed(listed, {skipped.name: skipped.reason for skipped in found.skipped})
    if as_json:
        rows = [{"active": entry.active, **asdict(entry)} for entry in (*listed, *others)]
        console().out(escaped(json.dumps(rows, indent=2)))
    else:
        _print(console(), file, listed, others)
    for error in found.errors:
        show_failure(error, debug=setting.debug)
    return not found.errors


def _print(out: Console, file: Path | None, listed: Sequence[Listed], others: Sequence[Listed]) -> None:
    where = "the default stack (there is no config file)" if file is None else str(file)
    if listed:
        out.print(Text(f"Active in {where}, outermost first\n", "bold"))
        names = max(len(entry.name) for entry in listed)
        stages = max(len(entry.stage) for entry in listed)
        for entry in listed:
            head = Text.assemble(
                (f"{entry.order:>3}  ", "dim"), (f"{entry.name:<{names}}", "cyan"), f"  {entry.stage:<{stages}}  "
            )
            _entry(out, head.append(entry.origin), entry)
    if others:
        out.print(Text("\nInstalled, not active\n" if listed else "Installed, not active\n", "bold"))
        for entry in others:
            # One package may offer a module under many names: a store under each of its schemes.
            head = Text.assemble((escaped(", ".join(entry.names)), "cyan"), f"  {entry.origin}")
            _entry(out, Padding(head, (0, 0, 0, 5), expand=False), entry)


def _entry(out: Console, head: Text | Padding, entry: Listed) -> None:
    out.print(head)
    if entry.problem:
        out.print(Padding(Text(escaped(entry.problem), "red"), (0, 0, 0, 5), expand=False))
    out.print(Text(f"     {escaped(entry.docs)}", "dim"))
