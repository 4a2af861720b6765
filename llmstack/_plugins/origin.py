"""Origins: which table of a config an object was made of, with its references as they were written."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = ["made_of", "remember"]

T = TypeVar("T")

# By id, since an object of a plugin's may be equal to others, or not hashable; an entry goes with its object.
_tables: dict[int, tuple[weakref.ref[Any], Mapping[str, Any]]] = {}


def remember(made: T, table: Mapping[str, Any]) -> T:
    """Remember what an object was made of; one that cannot be referred to weakly is passed over."""
    place = id(made)

    def forget(gone: weakref.ref[Any]) -> None:
        if place in _tables and _tables[place][0] is gone:
            _tables.pop(place, None)

    try:
        _tables[place] = (weakref.ref(made, forget), dict(table))
    except TypeError:
        return made
    return made


def made_of(thing: object) -> Mapping[str, Any] | None:
    """The table that an object was made of; None if it was made otherwise."""
    reference, table = _tables.get(id(thing), (None, {}))
    return table if reference is not None and reference() is thing else None
