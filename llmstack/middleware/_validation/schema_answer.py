"""Checking one JSON text against the schema that was asked for.

The validator is that of the jsonschema package (Draft 2020-12 where the schema names no other). References are followed
within the schema only, never over the network; formats are not asserted. Nothing that is said of an answer quotes it:
names come from the schema, and what the schema does not name is ``*``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, NoReturn

__all__ = ["AnswerSchema", "Problem"]

Problem = tuple[str, str]
"""Where in the answer, such as ``".items[2].price"``, and what is wrong there."""

_MOST: Final = 20
"""Problems of one answer that are told; one wrong list may have thousands."""

_LONGEST: Final = 120

_INVALID: Final = "it is no valid JSON schema"

_LONGEST_KEPT: Final = 100_000
"""Characters of a schema whose validator is kept for the next call."""

_SAID: Final[dict[str, str]] = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "pattern": "must match the pattern {}",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "uniqueItems": "must have no item twice",
    "additionalProperties": "must have no properties but those that the schema names",
    "unevaluatedProperties": "must have no properties but those that the schema names",
    "required": "must have the properties {}",
}


class AnswerSchema:
    """What an answer has to be: JSON, and if there is a schema, valid against it.

    Attributes:
        unusable: Why the schema cannot be used; empty if it can. Answers then only have to be JSON.
    """

    __slots__ = ("_names", "_validator", "unusable")

    def __init__(self, schema: Any = None) -> None:
        """Take a schema; None for any JSON object.

        Raises:
            ImportError: If the jsonschema package is not installed.
        """
        self._validator: Any = None
        self._names: frozenset[str] = frozenset()
        self.unusable = ""
        if schema is None:
            return
        try:
            text = json.dumps(schema)
        except (TypeError, ValueError, RecursionError):
            text = ""
        # Making a validator costs milliseconds, using it some microseconds. It is made of the text: the program may
        # change its schema.
        made = _validator_of(text) if 0 < len(text) <= _LONGEST_KEPT else _made(schema)
        self._validator, self._names, self.unusable = made

    def problems(self, text: str) -> list[Problem]:
        """What is wrong with an answer.

        Args:
            text: The answer.

        Returns:
            The problems, by place; empty if it fits.
        """
        if not text.strip():
            return [("", "is empty, where JSON was asked for")]
        try:
            value = json.loads(text, parse_constant=_refuse)
        except ValueError as error:
            return [("", f"is no valid JSON{_at(error)}")]
        except RecursionError:
            return [("", "is nested too deep")]
        if self._validator is None:
            return [] if isinstance(value, dict) or self.unusable else [("", "must be a JSON object")]
        return self._mismatches(value)

    def _mismatches(self, value: Any) -> list[Problem]:
        jsonschema, _ = _package()
        found: dict[Problem, None] = {}
        try:
            for error in self._validator.iter_errors(value):
                best = jsonschema.exceptions.best_match([error])
                found[self._path(best), _said(best)] = None
                if len(found) > _MOST:
                    break
        except RecursionError:
            return [("", "is nested too deep")]
        except OverflowError:  # `multipleOf` of a number that no float holds
            return [("", "has a number too large to be checked")]
        except Exception as error:  # a reference that leads nowhere is found only when it is followed
            if not (_is_unresolvable(error) or isinstance(error, ValueError)):  # ValueError: an `$id` that is no URL
                raise
            self.unusable = "it refers to what is not in it"
            return []
        problems = sorted(found)
        return [*problems[:_MOST], ("", "and more does not fit")] if len(problems) > _MOST else problems

    def _path(self, error: Any) -> str:
        steps = (
            f"[{step}]" if isinstance(step, int) else f".{step}" if step in self._names else ".*"
            for step in error.absolute_path
        )
        return "".join(steps)


def _made(schema: Any) -> tuple[Any, frozenset[str], str]:
    """The validator of a schema, the names that it names, and why it cannot be used."""
    jsonschema, registry = _package()
    try:
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        return kind(schema, registry=registry), frozenset(_names(schema)), ""
    except (jsonschema.SchemaError, RecursionError, TypeError, AttributeError, ValueError):
        return None, frozenset(), _INVALID


@lru_cache(maxsize=64)
def _validator_of(text: str) -> tuple[Any, frozenset[str], str]:
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):  # numbers too long to be read, objects too deep
        return None, frozenset(), _INVALID
    return _made(schema)


def _said(error: Any) -> str:
    if error.validator is None:  # the schema is `false`
        return "must not be there"
    said = _SAID.get(error.validator)
    if said is None:
        return f"does not fit the schema's {error.validator}"
    wanted = error.validator_value
    if error.validator == "required":
        wanted = [name for name in wanted if name not in error.instance]
    text = json.dumps(wanted, ensure_ascii=False, default=str)
    return said.format(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _names(schema: Any) -> Iterator[str]:
    """All names of properties that a schema names."""
    rest = [schema]
    while rest:
        here = rest.pop()
        if isinstance(here, Mapping):
            properties = here.get("properties")
            if isinstance(properties, Mapping):
                yield from (name for name in properties if isinstance(name, str))
            rest += here.values()
        elif isinstance(here, list):
            rest += here


def _at(error: ValueError) -> str:
    """Where JSON ends to be any: a number, no text."""
    return f" at character {error.pos} of {len(error.doc)}" if isinstance(error, json.JSONDecodeError) else ""


def _refuse(_name: str) -> NoReturn:
    raise ValueError  # NaN and the infinities are JavaScript, no JSON


def _is_unresolvable(error: Exception) -> bool:
    return isinstance(error, import_module("referencing.exceptions").Unresolvable)


def _package() -> tuple[Any, Any]:
    try:
        jsonschema = import_module("jsonschema")
        # A registry of one's own retrieves nothing; jsonschema's default one would ask the network.
        return jsonschema, import_module("referencing.jsonschema").EMPTY_REGISTRY
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"jsonschema", "referencing"}:
            raise
        message = 'checking answers needs jsonschema: pip install "llmstack-openai[validation]"'
        raise ImportError(message) from error
