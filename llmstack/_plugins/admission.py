"""Admission: which of the installed plugins may be loaded at all. It is asked before anything is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Admission", "Rule", "admitted_by", "admitting"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A list of names.

    Attributes:
        names: The names.
        allow: True if no others may be loaded, False if these may not.
        where: Where it stands, such as ``"LLMSTACK_BLOCK"``.
    """

    names: frozenset[str]
    allow: bool
    where: str

    def refusal(self, names: Iterable[str]) -> str | None:
        """Why a plugin of these names may not be loaded, as the end of a sentence; None if it may."""
        named = not self.names.isdisjoint(names)
        if self.allow:
            return None if named else f"is not among those that {self.where} allows"
        return f"is blocked by {self.where}" if named else None


@dataclass(frozen=True, slots=True)
class Admission:
    """All lists that hold at a time. A plugin must pass each of them.

    Attributes:
        rules: The lists.
    """

    rules: tuple[Rule, ...] = ()

    def refusal(self, names: Iterable[str]) -> str | None:
        """Why a plugin may not be loaded, as the end of a sentence; None if it may.

        Args:
            names: All its names: a list that has one of them means the plugin.
        """
        everything = tuple(names)
        return next((why for rule in self.rules if (why := rule.refusal(everything)) is not None), None)


_of_config: ContextVar[tuple[Rule, ...]] = ContextVar("llmstack_admission", default=())


def admitted_by() -> Admission:
    """What holds now: ``LLMSTACK_PLUGINS``, ``LLMSTACK_BLOCK``, and the lists of the config that is being read."""
    rules: list[Rule] = []
    for variable, allow in (("LLMSTACK_PLUGINS", True), ("LLMSTACK_BLOCK", False)):
        names = re.split(r"[\s,]+", os.environ.get(variable, "").strip())
        # An empty variable is none: it must not take all the guards away.
        if names != [""]:
            rules.append(Rule(frozenset(names) - {""}, allow, variable))
    return Admission((*rules, *_of_config.get()))


@contextmanager
def admitting(rules: Iterable[Rule]) -> Generator[None, None, None]:
    """Let the lists of a config hold, too, while its stack is built: its plugins may load others, such as stores."""
    token = _of_config.set(tuple(rules))
    try:
        yield
    finally:
        _of_config.reset(token)
