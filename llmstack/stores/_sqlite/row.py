"""Rows of the history: a `Record` as columns, so that a ledger can be questioned with any SQLite tool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from llmstack.errors import StoreError
from llmstack.stores.ledger import Record

__all__ = ["COLUMNS", "from_row", "to_json", "to_row"]

_NAMES = tuple(field.name for field in fields(Record))
_OBJECTS = ("tags", "tokens", "notes")

COLUMNS = ", ".join(_NAMES)
"""The columns, in the order of `to_row` and `from_row`."""


def to_row(record: Record) -> tuple[Any, ...]:
    """What is stored of a record."""
    return tuple([_stored(getattr(record, name)) for name in _NAMES])


def from_row(row: tuple[Any, ...]) -> Record:
    """The record of a row.

    Raises:
        llmstack.errors.StoreError: If somebody else has written it.
    """
    values = dict(zip(_NAMES, row, strict=True))
    try:
        values |= {name: json.loads(values[name]) if values[name] else {} for name in _OBJECTS}
    except (TypeError, ValueError) as error:
        raise StoreError(f"the ledger's row {row[0]!r} is damaged ({error})", store="sqlite") from error
    return Record(**values)


def to_json(value: Any) -> str:
    """JSON, as short as it can be."""
    return json.dumps(value, separators=(",", ":"), default=dict)


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        # A lone surrogate can be said in JSON, and so in a request, but not stored.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return to_json(value) if value else ""
    return value
