"""The terminal, or whatever stdout and stderr are instead."""

from __future__ import annotations

import io
import sys

from rich.console import Console

_WIDEST = 100
"""Columns used at most: longer lines are hard to read."""


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is: nothing in an answer or an error is taken for markup or an emoji."""
    lenient(stderr=stderr)
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    made.width = min(made.width, _WIDEST)
    return made


def lenient(*, stderr: bool = False) -> None:
    """Let stdout or stderr escape the characters that its encoding lacks, instead of failing."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
