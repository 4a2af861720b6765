"""Hints: what an option may be, by the annotation of its parameter, and what of that a file can say."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import SchemaError

from llmstack._plugins.guess import meant

__all__ = ["UNSAYABLE", "WrongValue", "fitted", "hints_of", "is_secret", "json_schema", "sayable", "without_none"]

UNSAYABLE: Final = object()
"""What no file can say: a function, a connection, a store that the program has opened."""


class WrongValue(Exception):  # noqa: N818 - a message on its way to an `OptionError`
    """A value that does not fit.

    Attributes:
        reason: What it must be.
        inside: The keys inside the value that lead to what is wrong.
        guess: What may have been meant, as a sentence's end; empty if nobody can tell.
        unknown: True if the last of those keys is one that there is not.
        told: True if the reason says all: to quote the value would make nothing clearer.
    """

    def __init__(
        self,
        reason: str,
        inside: tuple[str | int, ...] = (),
        guess: str = "",
        *,
        unknown: bool = False,
        told: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.inside = inside
        self.guess = guess
        self.unknown = unknown
        self.told = told or unknown


def hints_of(factory: Any) -> dict[str, Any]:
    """The annotations of a constructor's parameters, by name, with what `Annotated` adds to them.

    One that cannot be resolved leaves all of them out: then the constructor itself is the only judge.
    """
    function = inspect.getattr_static(factory, "__init__") if inspect.isclass(factory) else factory
    try:
        return get_type_hints(function, include_extras=True)
    except (TypeError, NameError, AttributeError):
        # Objects that are called have no annotations; others name what is imported for type checkers only.
        return {}


def sayable(hint: Any) -> Any:
    """The part of an annotation that a file can say; `UNSAYABLE` if that is nothing."""
    if get_origin(hint) in (Union, UnionType):
        members = [part for member in get_args(hint) if (part := sayable(member)) is not UNSAYABLE]
        return reduce(or_, members) if any(member is not NoneType for member in members) else UNSAYABLE
    try:
        json_schema(hint)
    except (PydanticUserError, SchemaError, TypeError, NameError):
        return UNSAYABLE
    return hint


def without_none(hint: Any) -> Any:
    """An annotation without None, which TOML does not have."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    return reduce(or_, (member for member in get_args(hint) if member is not NoneType))


def fitted(hint: Any, value: Any) -> Any:
    """A value as an annotation asks for it.

    Args:
        hint: What `sayable` gave.
        value: What a file says, with references followed.

    Raises:
        WrongValue: If it does not fit.
    """
    try:
        found = TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise _explained(error, value, hint) from None
    if isinstance(value, bool) and type(found) in (int, float):
        raise WrongValue("must be a number")
    return found


def is_secret(hint: Any) -> bool:
    """Whether an option is a secret by its annotation, pydantic's ``SecretStr``."""
    return hint is SecretStr or any(is_secret(part) for part in get_args(hint))


class _Quiet(GenerateJsonSchema):
    """Leaves out what a file cannot say without a word."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - pydantic's own way


def json_schema(hint: Any) -> dict[str, Any]:
    """The JSON Schema of an annotation.

    Raises:
        pydantic.errors.PydanticUserError: If a file can say nothing of it.
    """
    return TypeAdapter(hint).json_schema(schema_generator=_Quiet, ref_template="#/$defs/{model}")


# What pydantic says, as people say it ---------------------------------------------------------------------------

_UNKNOWN: Final = ("unexpected_keyword_argument", "extra_forbidden")
_LOOKED_AT: Final = ("missing", "missing_argument", "value_error")

_EXPECTED: Final[Sequence[tuple[str, str]]] = (
    ("int_", "a whole number"),
    ("float_", "a number"),
    ("decimal_", "a number, written as text or as a whole number"),
    ("bool_", "true or false"),
    ("string_type", "a text"),
    ("list_type", "a list"),
    ("tuple_type", "a list"),
    ("set_type", "a list"),
    ("sequence_", "a list"),
    ("is_instance_of", "a list"),  # what pydantic 2.10 says of a Sequence
    ("dict_type", "a table"),
    ("mapping_type", "a table"),
    ("dataclass_type", "a table"),
    ("model_type", "a table"),
    ("none_required", ""),
)


def _explained(error: ValidationError, value: Any, hint: Any) -> WrongValue:
    problems = [(_walked(problem["loc"], value), problem) for problem in error.errors(include_url=False)]
    # Of the kinds of value that it may be, it was meant as the one that it fits best.
    deepest = max(len(inside) for inside, _ in problems)
    inside = next(inside for inside, _ in problems if len(inside) == deepest)
    there = [problem for at, problem in problems if at == inside]
    if any(problem["type"] in _UNKNOWN for problem in there):
        guess = meant(str(inside[-1]), _fields_in(hint), "it takes", "it takes none")
        return WrongValue(f"has no {inside[-1]!r}", inside, f"; {guess}", unknown=True)
    # A table that a constructor has looked at is meant as one: of texts nothing need be said.
    looked_at = [
        problem for problem in there if problem["type"] in _LOOKED_AT and isinstance(problem["input"], Mapping)
    ]
    reasons = list(dict.fromkeys(reason for problem in looked_at or there if (reason := _reason(problem))))
    if all(reason.startswith("must be ") for reason in reasons):
        reason = "must be " + " or ".join(reason.removeprefix("must be ") for reason in reasons)
    else:
        reason = "; ".join(reasons)
    guesses = (_guess(problem) for problem in there)
    return WrongValue(reason, inside, next(filter(None, guesses), ""), told=bool(looked_at))


def _fields_in(hint: Any) -> list[str]:
    """The fields of all dataclasses in an annotation."""
    if dataclasses.is_dataclass(hint):
        return [field.name for field in dataclasses.fields(hint) if field.init]
    return [name for part in get_args(hint) for name in _fields_in(part)]


def _walked(location: Sequence[str | int], value: Any) -> tuple[str | int, ...]:
    """The keys of a location that are in the value; pydantic puts the kinds it tried between them."""
    path: list[str | int] = []
    for part in location:
        inside = (isinstance(value, Mapping) and part in value) or (isinstance(value, list) and isinstance(part, int))
        if inside:
            container: Any = value
            path.append(part)
            value = container[part]
    return tuple(path)


def _reason(problem: Any) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        said = str(context["error"])
        return f"is wrong: {said}" if isinstance(problem["input"], Mapping) else said
    if kind == "literal_error":
        told = str(context["expected"]).replace("'", '"')
        return f"must be {told.replace('False', 'false').replace('True', 'true')}"
    if kind in ("missing", "missing_argument"):
        return f"needs {problem['loc'][-1]!r}"
    expected = next((words for start, words in _EXPECTED if kind.startswith(start)), None)
    if expected is not None:
        return expected and f"must be {expected}"
    message: str = problem["msg"]
    return message[:1].lower() + message[1:] if not message.startswith("Input should") else "must" + message[12:]


def _guess(problem: Any) -> str:
    given = problem["input"]
    if problem["type"] != "literal_error" or not isinstance(given, str):
        return ""
    guess = meant(given, re.findall(r"'([^']*)'", str(problem["ctx"]["expected"])), "", "")
    return f"; {guess}" if guess.endswith("?") else ""
