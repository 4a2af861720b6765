"""`llmstack explain`: the stack that a config builds, and the ways that a call may take through it.

The ways follow from the stages: what stands in CACHE may answer by itself, what stands in VALIDATE, MODERATE and BUDGET
may refuse, what stands in RETRY sends again. Nothing is sent and no store is touched; `llmstack call --trace` shows the
way of a real call.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from llmstack import CallInfo, Stack
from llmstack.cli.catalogue import Listed, active
from llmstack.cli.path import Marks, marks_for, path
from llmstack.cli.reach import shown
from llmstack.cli.setting import Setting
from llmstack.cli.terminal import console
from llmstack.cli.text import escaped
from llmstack.cli.trace import Trail
from llmstack.errors import RefusedError

_REFUSING = ("VALIDATE", "MODERATE", "BUDGET")


class Failure(Exception):  # noqa: N818 - its name is what the drawing shows
    """What goes wrong in the drawing."""


def explain(setting: Setting, config: Path | None) -> None:
    """Draw the configured stack.

    Raises:
        llmstack.errors.ConfigError: If the config is wrong.
    """
    file = setting.config_file(config)
    with setting.open_stack(config) as stack:
        draw(console(), stack, "The default stack (there is no config file)" if file is None else f"{file} builds")


def draw(out: Console, stack: Stack, title: str) -> None:
    """Draw a stack and the ways through it."""
    listed = active(stack)
    layers = [entry for entry in listed if entry.is_layer]
    marks = marks_for(out)
    out.print(Text(title, "bold"))
    out.print()
    _layers(out, layers, _destination(stack))
    beside = [entry for entry in listed if not entry.is_layer]
    if beside:
        out.print()
        out.print(Text("Beside the way", "bold"))
        out.print(_beside(beside))
    out.print()
    out.print(Rule(Text("The ways of a call", "bold"), align="left", style="dim"))
    for said, trail in _ways(layers, stack.transport.name):
        out.print(Text(said, "italic"))
        for line in path(trail, marks, out.width - 3):
            out.print(Padding(line, (0, 0, 0, 3), expand=False))


def _layers(out: Console, layers: Sequence[Listed], destination: Text) -> None:
    down, up, bar = ("v", "^", "|") if marks_for(out) != Marks() else ("▼", "▲", "│")
    name_width = max((len(entry.name) for entry in layers), default=0)
    stage_width = max((len(entry.stage) for entry in layers), default=0)
    room = max(20, out.width - name_width - stage_width - 11)
    out.print(Text.assemble("your program", ("  client.chat.completions.create(...)", "dim")))
    out.print(Text(f"  {bar} {up}", "dim"))
    for entry in layers:
        said = [entry.about, *(f"{name} = {value}" for name, value in entry.options)]
        about = [line for text in said for line in textwrap.wrap(escaped(text), room)] or [""]
        heads = [(f"{escaped(entry.name):<{name_width}}", f"{entry.stage:<{stage_width}}")]
        heads += [(" " * name_width, " " * stage_width)] * (len(about) - 1)
        for (name, stage), line in zip(heads, about, strict=True):
            text = Text.assemble((f"  {bar} {bar}  ", "dim"), (name, "cyan"), f"  {stage}  ", (line, "dim"))
            text.rstrip()
            out.print(text)
    out.print(Text(f"  {down} {bar}", "dim"))
    out.print(destination)


def _destination(stack: Stack) -> Text:
    from llmstack.transports import OpenAITransport

    name, kind = stack.transport.name, type(stack.transport)
    place: Any = getattr(stack.transport, "place", None)
    if place is not None:
        where = f"{kind.__name__}, to {shown(str(place.base_url))}"
    else:
        where = "the connection of the client that makes the call" if kind is OpenAITransport else kind.__name__
    return Text.assemble((name, "cyan"), (f"  {where}", "dim"))


def _beside(listed: Sequence[Listed]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    doing = {
        "llmstack_event": "hears of events",
        "llmstack_price": "knows prices",
        "llmstack_stores": "offers stores",
        "llmstack_transports": "offers transports",
        "llmstack_commands": "adds commands",
    }
    for entry in listed:
        does = ", ".join(doing[hook] for hook in entry.hooks if hook in doing)
        table.add_row(f"  {escaped(entry.name)}", does, escaped(entry.about))
    return table


def _ways(layers: Sequence[Listed], transport: str) -> Iterator[tuple[str, Trail]]:
    """What may become of a call, each with a trail that shows it."""
    names = [*(entry.name for entry in layers), transport]
    by_stage = {entry.stage: entry.name for entry in reversed(layers)}
    yield "It is answered.", _walked(names)
    if "CACHE" in by_stage:
        yield f"{by_stage['CACHE']} has the answer.", _walked(names, **{by_stage["CACHE"]: _answer})
    refusing = [stage for stage in _REFUSING if stage in by_stage]
    if refusing:
        said = " or ".join(filter(None, [", ".join(refusing[:-1]), refusing[-1]]))
        yield f"A layer in {said} refuses it.", _walked(names, **{by_stage[refusing[-1]]: _refuse})
    if "RETRY" in by_stage:
        yield f"It fails, and {by_stage['RETRY']} sends it again.", _walked(names, **{by_stage["RETRY"]: _repeat})


Further = Callable[..., None]
"""Sends the call further in: ``further(succeeds=True)``."""


def _pass_on(further: Further) -> None:
    further(succeeds=True)


def _answer(further: Further) -> None:
    del further


def _refuse(further: Further) -> None:
    del further
    raise RefusedError("an example")


def _repeat(further: Further) -> None:
    with suppress(Failure):
        further(succeeds=False)
    further(succeeds=True)


def _send(*, succeeds: bool) -> None:
    if not succeeds:
        raise Failure


def _walked(names: Sequence[str], **doing: Callable[[Further], None]) -> Trail:
    """The trail of a call through layers of these names, the last of them the transport.

    Args:
        names: The layers, outermost first.
        doing: What some of them do; the others pass on.
    """
    info = CallInfo(id="", method="", path="", endpoint="", model=None, stream=False, tenant=None, tags={})
    trail = Trail(info, len(names) - 1)

    def walk(depth: int, *, succeeds: bool) -> None:
        visit = trail.enter(names[depth], depth, 0.0)
        failure: BaseException | None = None
        try:
            if depth < trail.depth:
                doing.get(names[depth], _pass_on)(partial(walk, depth + 1))
            else:
                _send(succeeds=succeeds)
        except (Failure, RefusedError) as error:
            failure = error
            raise
        finally:
            trail.leave(names[depth], visit, 0.0, failure)

    with suppress(RefusedError):
        walk(0, succeeds=True)
    return trail
