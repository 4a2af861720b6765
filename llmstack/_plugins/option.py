"""Options: what a table of a config file says, checked against the constructor that it is for."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from llmstack._plugins.reference import resolved
from llmstack.errors import OptionError

__all__ = ["Table", "checked", "made"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of options in a config file.

    Attributes:
        file: The file.
        name: How the table is written there, such as ``"[retry]"``.
        plugin: The plugin that it is for; None if it is for none.
        values: What it says.
    """

    file: Path
    name: str
    plugin: str | None
    values: Mapping[str, Any]

    def error(self, said: str) -> OptionError:
        """An error about this table."""
        return OptionError(f"{self.file}: {self.name}{said}", plugin=self.plugin)


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
        ConfigError: If an option is unknown or wrong; it names file, table, key and what was expected.
    """
    options = checked(factory, table, special)
    try:
        return factory(**options)
    except OptionError as error:
        raise table.error(f": {error.message}") from error
    except (TypeError, ValueError) as error:
        raise table.error(f": {error}") from error


def checked(factory: Any, table: Table, special: Special | None = None) -> dict[str, Any]:
    """What a table says, checked and converted to what the constructor's annotations ask for.

    Args:
        factory: The constructor.
        table: The table.
        special: As for `made`.

    Raises:
        ConfigError: If an option is unknown or wrong.
    """
    parameters = inspect.signature(factory).parameters
    hints = _hints(factory)
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    found: dict[str, Any] = {}
    for key, given in table.values.items():
        if key not in parameters and not anything:
            raise table.error(f" has no option {key!r}; {_meant(key, parameters)}")
        hint = hints.get(key, Any)
        value = NotImplemented if special is None else special(hint, key, given)
        if value is NotImplemented:
            plain = resolved(given, where=f"{table.file}: {table.name} {key}", config=table.file)
            value = _fitting(table, key, hint, plain)
        found[key] = value
    return found


def _hints(factory: Any) -> dict[str, Any]:
    try:
        return get_type_hints(inspect.getattr_static(factory, "__init__") if inspect.isclass(factory) else factory)
    except TypeError:  # an object that is called: it has no annotations of its own
        return {}


def _fitting(table: Table, key: str, hint: Any, value: Any) -> Any:
    for inner in _unknown_inside(hint, value):
        known = [field.name for kind in _dataclasses_in(hint) for field in dataclasses.fields(kind)]
        raise table.error(f" {key} has no {inner!r}; {_meant(inner, known)}")
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        last = problem["loc"][-1] if problem["loc"] else None
        where = f"{key}.{last}" if isinstance(value, Mapping) and last in value else key
        raise table.error(f" {where}: {problem['msg']}") from error
    except (TypeError, SchemaError) as error:
        # A port, such as a store: nothing that a file can say is one.
        raise table.error(f" {key} cannot be given in a file: it takes an object of the program's") from error


def _meant(key: str, known: Iterable[str]) -> str:
    """What somebody who wrote a key that is not known may have meant, as the end of a sentence."""
    names = list(known)
    close = difflib.get_close_matches(key, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"it takes: {', '.join(names) or 'no options'}"


def _dataclasses_in(hint: Any) -> list[Any]:
    """The dataclasses among the types of an option: their fields are what a table for it may say."""
    return [kind for kind in (hint, *get_args(hint)) if inspect.isclass(kind) and dataclasses.is_dataclass(kind)]


def _unknown_inside(hint: Any, value: Any) -> list[str]:
    """Keys of a table that no dataclass of the option has; early versions of pydantic pass them over."""
    kinds = _dataclasses_in(hint)
    if not isinstance(value, dict) or not kinds:
        return []
    known = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    return [key for key in value if key not in known]
