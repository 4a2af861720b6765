"""Parsing JSON into the SDK's models: in pydantic-core, and equal to what the SDK itself makes of it."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from openai import BaseModel
from pydantic import VERSION
from pydantic_core import SchemaValidator

from llmstack._wire.complete import complete
from llmstack._wire.schema import schema_of

__all__ = ["UNPARSED", "Parser", "parser_of"]

UNPARSED: Final = object()
"""What a parser returns for what the SDK must parse."""

_escaped_ascii: Final = re.compile(rb"\\u00(?:5[fF]|6[0-9a-fA-F]|7[0-9aA])").search
_escaped_ascii_text: Final = re.compile(r"\\u00(?:5[fF]|6[0-9a-fA-F]|7[0-9aA])").search
"""A letter or an underscore written as an escape: nobody does, but a name could hide in it."""


class Parser:
    """Parses JSON into one type."""

    __slots__ = ("_json", "_python")

    def __init__(self, validator: SchemaValidator) -> None:
        self._json = validator.validate_json
        self._python = validator.validate_python

    def content(self, content: bytes) -> Any:
        """What the SDK makes of a whole answer; `UNPARSED` if it must do so itself.

        Args:
            content: JSON text.
        """
        # `construct` takes the fields as keyword arguments, and some names are those of its own. A single byte is found
        # some fifty times as quickly as two, and a long answer of vectors has none of these, or only near its end.
        at = content.find(b"_")
        if at > 0 and content.find(b'"_', at - 1) >= 0 and (b"_fields_set" in content or b"__cls" in content):
            return UNPARSED
        if b"\\" in content and b"\\u00" in content and _escaped_ascii(content):
            return UNPARSED
        try:
            return self._json(content)
        except Exception:  # noqa: BLE001 - whatever it is, the SDK decides
            return UNPARSED

    def event(self, data: str) -> Any:
        """What the SDK makes of an event's data; `UNPARSED` also if that may be the report of an error.

        Args:
            data: JSON text.
        """
        # A search for fewer characters first: these run for each chunk of each stream.
        if '"error"' in data or ('"_' in data and ("_fields_set" in data or "__cls" in data)):
            return UNPARSED
        if "\\" in data and "\\u00" in data and _escaped_ascii_text(data):
            return UNPARSED
        try:
            return self._json(data)
        except Exception:  # noqa: BLE001 - as above
            return UNPARSED

    def value(self, value: Any) -> Any:
        """What the SDK makes of parsed JSON; `UNPARSED` if it must do so itself.

        Args:
            value: What ``json.loads`` gave.
        """
        try:
            return self._python(value)
        except Exception:  # noqa: BLE001 - as above
            return UNPARSED


@cache
def parser_of(cast_to: Any) -> Parser | None:
    """The parser for a type that the SDK parses into; None if the SDK must do it.

    Args:
        cast_to: The type.
    """
    if not _works():
        return None
    try:
        complete(cast_to)
        return Parser(_validator(schema_of(cast_to)))
    except Exception:  # noqa: BLE001 - types may be anything
        return None


def _validator(schema: Any) -> SchemaValidator:
    try:
        # Otherwise each model's own validator would be put in place of ours.
        return SchemaValidator(schema, _use_prebuilt=False)  # type: ignore[call-arg,unused-ignore]
    except TypeError:  # a version that has no such validators
        return SchemaValidator(schema)


class _Inner(BaseModel):
    count: int


class _Outer(BaseModel):
    inner: _Inner


_FIRST: Final = (2, 13)
"""The first version of pydantic with which all is equal: 2.10 forgets in places which unknown fields were given, and
2.11 and 2.12 do not take the schemas."""


@cache
def _works() -> bool:
    """Whether this version of pydantic takes our schemas as they are."""
    if tuple(map(int, VERSION.split(".")[:2])) < _FIRST:
        return False
    try:
        _Outer.model_rebuild()
        parsed = _validator(schema_of(_Outer)).validate_json(b'{"inner":{"count":"many","new":1}}')
        return bool(parsed == _Outer.construct(inner={"count": "many", "new": 1}) and type(parsed.inner) is _Inner)
    except Exception:  # noqa: BLE001 - then it does not work
        return False
