"""No secret in a repr, an event, a note, an error or a log line."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llmstack.errors import StackError
from llmstack.testing._conformance.bench import Bench, Outcome
from llmstack.testing._conformance.flaw import ConformanceError
from llmstack.testing._conformance.optional import builder, options_of
from llmstack.testing._conformance.sample import texts
from llmstack.testing._conformance.situation import ANSWERED, BROKEN_OFF, DOWN
from llmstack.testing._conformance.trial import HEADER, KEY

__all__ = ["check_calls", "check_options", "secret_options"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out

_SECRET_NAME = re.compile(r"(?i)(?:^|_)(?:(?:api_?)?key|secret|token|password|credentials?|dsn)$")
_DEEPEST = 6
"""How deep the values of an event are looked through."""
_MARK = "conformance-mark-of-{name}-5e7a"


def secret_options(kind: type) -> list[str]:
    """The options of a plugin that hold secrets, by their names."""
    return [name for name, hint in options_of(kind).items() if _SECRET_NAME.search(name) and hint is not int]


def check_options(make: Callable[..., Any], sample: Any, names: Sequence[str] | None) -> None:
    """The plugin's own secrets are in no repr.

    Args:
        make: Makes the plugin.
        sample: One that was made.
        names: The options that hold secrets; None for those whose names say so.
    """
    secret = secret_options(type(sample)) if names is None else names
    if not secret:
        return
    marked = {name: _MARK.format(name=name) for name in secret}
    plugin = builder(make, sample)(**marked)
    for name, mark in marked.items():
        for how, shown in (("repr", repr(plugin)), ("str", str(plugin))):
            if mark in shown:
                raise ConformanceError(
                    f"{how}() of the plugin shows the value of its option {name!r}.",
                    "reprs end in tracebacks, logs and error trackers, which many people read.",
                    f"leave {name} out of __repr__ (dataclasses: field(repr=False)).",
                )


def check_calls(bench: Bench, *, content: bool = False) -> None:
    """What a call holds is in no event, note, error or log line.

    Args:
        bench: Where it is tried.
        content: True if what is asked and answered may be shown, since the plugin was told to show it.
    """
    with _listening() as lines:
        outcomes = bench.outcomes((ANSWERED, DOWN, BROKEN_OFF))
    secrets: dict[str, str] = {KEY: "the client's key", HEADER: "a header of the call"}
    for sample in () if content else bench.samples:
        secrets |= dict.fromkeys(texts(sample), "what was asked or answered")
    for outcome in outcomes:
        for where, shown in _shown(outcome):
            _check(shown, where, secrets)
    for line in lines:
        _check(line, "a log line", secrets)


def _check(shown: str, where: str, secrets: Mapping[str, str]) -> None:
    for secret, what in secrets.items():
        if secret in shown:
            raise ConformanceError(
                f"{where[0].upper()}{where[1:]} shows {what}.",
                "events, errors and logs go to places where prompts and keys of customers must never be.",
                "tell sizes, counts and names (call.info is made for this), never content or headers; show content "
                "only where the program has asked for it by an option.",
            )


def _shown(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for event in outcome.trial.recorder.events:
        for text in _texts(event, _DEEPEST):
            yield f"the event {type(event).__name__}", text
    if isinstance(outcome.seen.error, StackError):
        yield "an error's text", f"{outcome.seen.error} {outcome.seen.error!r}"
    for plugin in outcome.trial.stack.plugins.values():
        yield "the plugin's repr", repr(plugin)


def _texts(value: Any, deep: int) -> Iterator[str]:
    """All texts in a value, and what errors say."""
    if isinstance(value, str):
        yield value
    elif deep and dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _texts(getattr(value, field.name), deep - 1)
    elif deep and isinstance(value, Mapping):
        for pair in value.items():
            yield from _texts(pair, deep - 1)
    elif deep and isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item, deep - 1)
    else:
        yield repr(value)


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=1)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The SDK's own debug lines are the SDK's business.
        if not record.name.startswith(("openai", "httpx2", "httpcore2", "asyncio")):
            self.lines.append(self.format(record))


@contextmanager
def _listening() -> Generator[list[str]]:
    listener, root = _Listener(), logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(1)
    try:
        yield listener.lines
    finally:
        root.setLevel(level)
        root.removeHandler(listener)
