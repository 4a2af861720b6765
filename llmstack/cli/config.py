"""`llmstack config`: files to begin with, the config in force, and the schema of all of them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.syntax import Syntax

from llmstack import Stack
from llmstack import config as configs
from llmstack.cli.failure import UsageError
from llmstack.cli.terminal import console

_WIDTH = 100
_HEAD = """\
# llmstack: the plugins that calls pass through, and their options. What is a comment is the default.
# Look at it with `llmstack explain`, check it with `llmstack check`.

# Active plugins. Their order does not matter here: each declares its place.
"""


def init(path: Path, *, force: bool) -> None:
    """Write a config file to begin with.

    Args:
        path: The file.
        force: True to write over one that is there.

    Raises:
        UsageError: If it is there already, or cannot be written.
    """
    if path.exists() and not force:
        raise UsageError(f"{path} is there already; --force writes over it")
    try:
        path.write_text(beginning(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    console().print(f"wrote {path}; look at it with llmstack explain --config {path}")


def beginning() -> str:
    """The default stack as a config, with all that its plugins can be told as comments."""
    stack = Stack.default()
    try:
        names = list(stack.plugins)
        others = sorted({offer.name for offer in configs.discover() if set(offer.names).isdisjoint(names)})
    finally:
        stack.close()
    tables: Mapping[str, Any] = configs.schema()["properties"]
    lines = [f"plugins = {json.dumps(names)}"]
    if others:
        lines += textwrap.wrap(
            f"Installed besides: {', '.join(others)}.", _WIDTH, initial_indent="# ", subsequent_indent="# "
        )
    for name in names:
        options = list(_options(tables.get(name, {}).get("properties", {})))
        if options:
            lines += ["", f"[{name}]", *options]
    return _HEAD + "\n".join(lines) + "\n"


def _options(properties: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Each option as a comment: what it means, then the line to change; only its name if it has no plain default."""
    for option, about in properties.items():
        said = about.get("description", "")
        said = said if "default" in about else f"{option}: {said}".removesuffix(": ")
        yield from textwrap.wrap(said, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        if "default" in about:
            yield f"#{option} = {json.dumps(about['default'])}"


def show(file: Path | None) -> None:
    """Print the config in force as TOML.

    Raises:
        llmstack.errors.ConfigError: If the config is wrong.
    """
    with Stack.default() if file is None else Stack.from_config(file) as stack:
        text = configs.to_toml(stack)
    out = console()
    if out.is_terminal:
        out.print(Syntax(text.rstrip(), "toml", theme="ansi_dark", background_color="default", word_wrap=True))
    else:
        out.out(text, end="")


def schema() -> None:
    """Print the JSON Schema of config files."""
    console().out(json.dumps(configs.schema(), indent=2))
