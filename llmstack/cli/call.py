"""The call that ``llmstack call`` makes."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.padding import Padding
from rich.text import Text

from llmstack import OpenAI, Stack, options
from llmstack.cli.failure import UsageError, warnings_shown
from llmstack.cli.measure import duration, tokens
from llmstack.cli.path import marks_for, path
from llmstack.cli.question import Question
from llmstack.cli.terminal import console, lenient
from llmstack.cli.text import escaped
from llmstack.cli.trace import Trace, Trail

_UNUSED = "unused"
"""The key of a client whose transport has its own: the client's never travels."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a call goes and through which stack.

    Attributes:
        config: The config file of the stack; None for the default one.
        base_url: The service; None for what the environment says.
        timeout: Seconds to wait for each request; None for the SDK's default.
    """

    config: Path | None = None
    base_url: str | None = None
    timeout: float | None = None

    def open_stack(self) -> Stack:
        """The configured stack.

        Raises:
            llmstack.errors.ConfigError: If the config file is wrong.
        """
        with warnings_shown():
            return Stack.default() if self.config is None else Stack.from_config(self.config)

    def client(self, stack: Stack) -> OpenAI:
        """A client of the stack.

        Raises:
            UsageError: If there is no key.
        """
        given: dict[str, Any] = {"base_url": self.base_url, "timeout": self.timeout}
        if getattr(stack.transport, "place", None) is not None:
            given["api_key"] = _UNUSED
        elif not os.environ.get("OPENAI_API_KEY"):
            raise UsageError("set OPENAI_API_KEY to your key first (any text will do for a server that wants none)")
        return OpenAI(stack=stack, **{name: value for name, value in given.items() if value is not None})


def call(question: Question, connection: Connection, *, tags: Mapping[str, str], trace: bool) -> None:
    """Ask, and write the answer to stdout; with `trace` the way it took to stderr.

    Raises:
        UsageError: If there is no key.
        openai.OpenAIError: What the call raises.
    """
    watched = Trace()
    with connection.open_stack() as stack, connection.client(watched.around(stack) if trace else stack) as client:
        try:
            with options(tags=tags):
                _write(question.pieces(client))
        finally:
            for trail in watched.trails.values():
                _show(trail)


def _write(pieces: Generator[str, None, None]) -> None:
    """Write pieces as they come, and a line end after the last if it has none."""
    lenient()
    terminal = sys.stdout.isatty()
    last = ""
    try:
        with closing(pieces):
            for piece in filter(None, pieces):
                last = piece[-1]
                sys.stdout.write(escaped(piece) if terminal else piece)
                sys.stdout.flush()
    finally:
        if last not in ("", "\n"):
            sys.stdout.write("\n")
            sys.stdout.flush()


def _show(trail: Trail) -> None:
    out = console(stderr=True)
    marks = marks_for(out)
    out.print(Padding(Text(f"{trail.call.endpoint} {trail.call.model or ''}", "bold"), (1, 0, 0, 0)))
    for line in path(trail, marks, out.width):
        out.print(line)
    ended = trail.finished
    if ended is None:
        return
    parts = [ended.outcome, f"{ended.attempts} attempt{'' if ended.attempts == 1 else 's'}", duration(ended.duration)]
    if ended.time_to_first_chunk is not None:
        parts.append(f"first word after {duration(ended.time_to_first_chunk)}")
    if ended.usage is not None:
        parts.append(tokens(ended.usage))
    if ended.cost is not None:
        parts.append(f"{ended.cost} US dollars")
    if ended.request_id is not None:
        parts.append(ended.request_id)
    own = [f"{layer} {duration(seconds)}" for layer, seconds in trail.own_times().items()]
    out.print(Text(f" {marks.dot} ".join(parts), "dim"))
    out.print(Text(f"time in each layer alone: {f' {marks.dot} '.join(own)}", "dim"))
