"""Overrides: environment variables that go before a config file, such as ``LLMSTACK_BUDGET__ON_EXCEED=warn``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Override", "overrides", "shouted"]

_PREFIX: Final = "LLMSTACK_"


@dataclass(frozen=True, slots=True, repr=False)
class Override:
    """What a variable says. It may be a secret, so no `repr` shows it.

    Attributes:
        variable: The variable's name.
        text: Its value.
    """

    variable: str
    text: str

    @property
    def readings(self) -> tuple[Any, ...]:
        """What it may mean, the likeliest first: a value of TOML, such as ``5`` and ``["a"]``, or the text itself."""
        try:
            read = tomllib.loads(f"value = {self.text}")
        except tomllib.TOMLDecodeError:
            return (self.text,)
        # More than one key: the text has lines of its own, and is none of TOML's values.
        return (read["value"], self.text) if len(read) == 1 else (self.text,)


def overrides(environment: Mapping[str, str]) -> list[tuple[tuple[str, ...], Override]]:
    """The overrides of an environment: the names of table and option, in capital letters, and what is said.

    Args:
        environment: Such as ``os.environ``.
    """
    found: list[tuple[tuple[str, ...], Override]] = []
    for variable, text in sorted(environment.items()):
        parts = tuple(variable.removeprefix(_PREFIX).split("__"))
        if variable.startswith(_PREFIX) and len(parts) > 1 and all(parts):
            found.append((parts, Override(variable, text)))
    return found


def shouted(name: str) -> str:
    """How a variable writes the name of a table or an option: in capital letters, with ``_`` for all that is none."""
    return re.sub(r"\W", "_", name).upper()


def spoken(part: str, known: Iterable[str]) -> str:
    """The name that a part of a variable's name means: a known one that is written so, else in small letters."""
    return next((name for name in known if shouted(name) == part.upper()), part.lower())
