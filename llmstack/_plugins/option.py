"""Options: what a table of a config says, checked against the constructor that it is for."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, get_args

from llmstack._core.secret import register
from llmstack._plugins.clear import in_the_clear
from llmstack._plugins.guess import meant
from llmstack._plugins.hint import UNSAYABLE, WrongValue, fitted, hints_of, sayable
from llmstack._plugins.mistake import Mistakes
from llmstack._plugins.origin import remember
from llmstack._plugins.override import Override
from llmstack._plugins.reference import resolved
from llmstack._plugins.settings import Settings
from llmstack._plugins.toml import literal
from llmstack.errors import OptionError

__all__ = ["Special", "Table", "checked", "made", "named_in"]


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """A table of options in a config.

    Attributes:
        settings: The config.
        path: The table's keys.
        plugin: The plugin that it is for; None if it is for none.
        values: What it says.
    """

    settings: Settings
    path: tuple[str, ...]
    plugin: str | None
    values: Mapping[str, Any]

    @property
    def file(self) -> Path:
        """The config file."""
        return self.settings.file

    @property
    def name(self) -> str:
        """How the table is written, such as ``"[retry]"``."""
        return f"[{'.'.join(self.path)}]"

    def label(self, key: str) -> str:
        """Where an option is said, and what it is called."""
        return f"{self.settings.where(*self.path, key)}: {self.name} {key}"

    def error(self, said: str, *keys: str) -> OptionError:
        """An error about this table, or what is said under some of its keys."""
        return OptionError(f"{self.settings.where(*self.path, *keys)}: {self.name}{said}", plugin=self.plugin)


Special = Callable[[Any, str, Any], Any]
"""Makes the value of an option that is no plain value, from its annotation, its name and what the table says; or gives
`NotImplemented`."""


def made(factory: Any, table: Table, special: Special | None = None) -> Any:
    """What a constructor makes of a table.

    Args:
        factory: The constructor: a class or a function.
        table: The table.
        special: Makes the options that are no plain values.

    Raises:
        ConfigError: If an option is unknown, wrong or missing; it names file, line, table, key and what was expected.
    """
    options = checked(factory, table, special)
    try:
        return remember(factory(**options), table.values)
    except OptionError as error:
        raise table.error(f": {error.message}", *named_in(error.message, table)) from error
    except (TypeError, ValueError) as error:
        raise table.error(f": {error}", *named_in(str(error), table)) from error


def checked(factory: Any, table: Table, special: Special | None = None) -> dict[str, Any]:
    """What a table says, checked and converted to what the constructor's annotations ask for.

    Args:
        factory: The constructor.
        table: The table.
        special: As for `made`.

    Raises:
        ConfigError: If an option is unknown, wrong or missing.
    """
    parameters = inspect.signature(factory).parameters
    hints = hints_of(factory)
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    options = [name for name, parameter in parameters.items() if parameter.kind not in _VARIABLE]
    found: dict[str, Any] = {}
    mistakes = Mistakes()
    for key, given in table.values.items():
        with mistakes.noted():
            if key not in options and not anything:
                guess = meant(key, options, "it takes", "it takes none")
                raise table.error(f" has no option {key!r}; {guess}", key)
            hint = hints.get(key, Any)
            value = NotImplemented if special is None else special(hint, key, given)
            found[key] = _value(table, key, hint, given) if value is NotImplemented else value
    for name in options:
        if parameters[name].default is inspect.Parameter.empty and name not in table.values:
            with mistakes.noted():
                raise table.error(f" needs {name!r}, which has no default")
    mistakes.settle(table.file)
    return found


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _value(table: Table, key: str, hint: Any, given: Any) -> Any:
    """An option's value, of what is said for it."""
    wanted = sayable(hint)
    if wanted is UNSAYABLE:
        # A port or a function: nothing that a file can say is one.
        raise table.error(f" {key} cannot be given in a file: it takes an object of the program's", key)
    if isinstance(given, Override):
        return _overridden(table, key, wanted, given)
    for inside in in_the_clear(key, hint, given):
        shown = ".".join((key, *inside))
        raise table.error(
            f' {shown} is a secret in the clear; write where it is: "env:NAME", "file:PATH" or "keyring:SERVICE/USER"',
            key, *inside,
        )  # fmt: skip
    plain = resolved(_unfolded(given), where=table.label(key), config=table.file)
    return _fitting(table, key, wanted, plain, given)


def _overridden(table: Table, key: str, hint: Any, given: Override) -> Any:
    """An option's value, of what a variable says: TOML, if that fits, else the text itself."""
    first: OptionError | None = None
    for reading in given.readings:
        plain = resolved(reading, where=table.label(key), config=table.file)
        try:
            value = _fitting(table, key, hint, plain, reading)
        except OptionError as error:
            first = first or error
            continue
        if in_the_clear(key, hint, given.text):
            register(given.text)
        return value
    raise first or table.error(f" {key} cannot be read", key)


def _unfolded(value: Any) -> Any:
    """A value without overrides in it: each says what TOML makes of it; dates are texts, as nobody wants others."""
    if isinstance(value, Override):
        first = value.readings[0]
        return value.text if isinstance(first, (date, datetime, time)) else first
    if isinstance(value, dict):
        return {key: _unfolded(item) for key, item in value.items()}
    return value


def _fitting(table: Table, key: str, hint: Any, value: Any, given: Any) -> Any:
    kinds = _dataclasses_in(hint)
    if isinstance(value, dict) and kinds:
        known = [field.name for kind in kinds for field in dataclasses.fields(kind)]
        for inner in value:
            if inner not in known:
                raise table.error(f" {key} has no {inner!r}; {meant(inner, known, 'it takes', '')}", key, inner)
    try:
        return fitted(hint, value)
    except WrongValue as wrong:
        around = wrong.inside[:-1] if wrong.unknown else wrong.inside
        shown = key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in around)
        keys = [part for part in wrong.inside if isinstance(part, str)]
        instead = "" if wrong.told else _not(_inside(given, wrong.inside))
        raise table.error(f" {shown} {wrong.reason}{instead}{wrong.guess}", key, *keys) from wrong


def _inside(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        # Under a reference there is nothing: what it leads to is not shown.
        value = value[part] if isinstance(value, (dict, list)) else Override("", "")  # type: ignore[index]
    return value


def _not(said: Any) -> str:
    """What is said instead, if it is short; a reference shows itself, never what it leads to."""
    if isinstance(said, Override):
        return ""
    shown = literal(said)
    return f", not {shown}" if len(shown) <= 60 else ""  # noqa: PLR2004 - what fits at the end of a line


def named_in(message: str, table: Table) -> tuple[str, ...]:
    """The option that an error of the plugin's complains of, if it says its name."""
    return next(((key,) for key in table.values if re.search(rf"\b{re.escape(key)}\b", message)), ())


def _dataclasses_in(hint: Any) -> list[Any]:
    """The dataclasses among the types of an option: their fields are what a table for it may say."""
    return [kind for kind in (hint, *get_args(hint)) if inspect.isclass(kind) and dataclasses.is_dataclass(kind)]
