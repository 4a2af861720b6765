"""Spelling: options as a config file writes them. It is tried whether they are read back the same."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, get_args

from pydantic import SecretStr

from llmstack._plugins.clear import in_the_clear
from llmstack._plugins.hint import UNSAYABLE, WrongValue, fitted, hints_of, sayable
from llmstack._plugins.override import Override
from llmstack._plugins.reference import is_reference
from llmstack._plugins.toml import key, literal
from llmstack.errors import ConfigError

__all__ = ["Options", "option_lines"]


@dataclass(frozen=True, slots=True, repr=False)
class Options:
    """The options of an object.

    Attributes:
        values: Value by name.
        written: True if they are what a config says, references and all; False if a program gave them.
    """

    values: Mapping[str, Any]
    written: bool


def option_lines(who: str, factory: Any, options: Options) -> list[str]:
    """The lines of a table, one for each option that is not the default; a comment for a secret.

    Args:
        who: Whose options these are, for errors.
        factory: The constructor.
        options: The options.

    Raises:
        ConfigError: If an option is none that a file can say.
    """
    hints = hints_of(factory)
    parameters = inspect.signature(factory).parameters
    lines: list[str] = []
    for name, value in options.values.items():
        hint = hints.get(name, Any)
        if options.written:
            plain = _as_written(name, hint, value)
        elif name in parameters and _equal(value, parameters[name].default):
            continue
        elif isinstance(value, SecretStr):
            plain = None
        else:
            plain = _spelt(f"{who}: {name}", hint, value)
        # Looked at once more: whatever it is and wherever it comes from, a secret is not printed.
        if plain is None or in_the_clear(name, hint, plain):
            lines.append(f'# {name} is a secret and not printed. Say where it is: {key(name)} = "env:NAME"')
        else:
            lines.append(f"{key(name)} = {literal(plain)}")
    return lines


def _equal(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))


def _as_written(name: str, hint: Any, value: Any) -> Any:
    """What a config says; what a variable says instead, by its name if it is a secret."""
    if isinstance(value, Override):
        if in_the_clear(name, hint, value.text):
            return f"env:{value.variable}"
        wanted = sayable(hint)
        for reading in value.readings:
            try:
                fitted(wanted, reading)
            except WrongValue:
                continue
            return reading
        return value.text
    if isinstance(value, Mapping):
        return {inner: _as_written(inner, Any, item) for inner, item in value.items()}
    return value


def _spelt(what: str, hint: Any, value: Any) -> Any:
    """The TOML value that is read back as a value that a program gave.

    Raises:
        ConfigError: If there is none.
    """
    wanted = sayable(hint)
    if value is None and False in _literals(hint):
        return False  # what has a default and may be switched off: TOML has no null
    try:
        plain = _plain(value)
        if wanted is not UNSAYABLE and _plain(fitted(wanted, plain)) == plain:
            if any(is_reference(text) for text in _texts(plain)):
                raise ConfigError(f"{what} would be read as a reference, and is a text")
            return plain
    except (WrongValue, TypeError):
        pass
    raise ConfigError(f"{what} is an object of the program's ({type(value).__name__}), which no file can say")


def _plain(value: Any) -> Any:
    """A value in TOML's kinds.

    Raises:
        TypeError: If it is of none.
    """
    if isinstance(value, (str, bool, int, float, datetime, date, time)):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if callable(parse := getattr(type(value), "parse", None)) and parse(str(value)) == value:
            return str(value)
        return {
            field.name: _plain(given)
            for field in dataclasses.fields(value)
            if field.init and not _equal(given := getattr(value, field.name), _default(field))
        }
    raise TypeError(type(value).__name__)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _literals(hint: Any) -> Iterator[Any]:
    """What an annotation names by value."""
    for part in get_args(hint):
        if get_args(part):
            yield from _literals(part)
        elif isinstance(part, bool):
            yield part


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
