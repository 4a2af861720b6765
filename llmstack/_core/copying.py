"""Copying: changed copies of calls, which every layer that wants another request makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar

__all__ = ["MADE_OF", "replace"]

MADE_OF = "made of"
"""In the metadata of a field that is no argument: the fields that its value follows from. A copy that leaves all of
them as they are keeps it; any other begins with the field's default."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Form:
    """How values of a class are copied.

    Attributes:
        values: Gives the values of all fields at once.
        put: For each field, in the same order, what sets it.
        given: The fields that are arguments, each with what sets it.
        made: Each other field: what sets it, its default, and what its value follows from.
    """

    values: Callable[[Any], tuple[Any, ...]]
    put: tuple[Callable[[Any, Any], None], ...]
    given: dict[str, Callable[[Any, Any], None]]
    made: tuple[tuple[Callable[[Any, Any], None], Any, frozenset[str]], ...]


@lru_cache(maxsize=64)
def _form(kind: Any) -> _Form:
    # The slots themselves: they are not closed to us, as the attributes of a frozen object are.
    put = {field.name: getattr(kind, field.name).__set__ for field in fields(kind)}
    return _Form(
        values=attrgetter(*put),
        put=tuple(put.values()),
        given={field.name: put[field.name] for field in fields(kind) if field.init},
        made=tuple(
            (put[field.name], field.default, frozenset(field.metadata.get(MADE_OF, put)))
            for field in fields(kind)
            if not field.init
        ),
    )


def replace(value: T, /, **changes: Any) -> T:
    """What `dataclasses.replace` does, in half the time: for frozen dataclasses with slots and no `__post_init__`.

    Args:
        value: The value.
        changes: The fields to change.

    Returns:
        The changed copy.

    Raises:
        TypeError: If there is no such field, or it is no argument of the class.
    """
    kind: type = type(value)
    form = _form(kind)
    copy: T = object.__new__(kind)
    for put, present in zip(form.put, form.values(value), strict=True):
        put(copy, present)
    for name, changed in changes.items():
        if name not in form.given:
            raise TypeError(f"a {kind.__name__} has no {name!r} to change")
        form.given[name](copy, changed)
    for put, default, sources in form.made:
        if not sources.isdisjoint(changes):
            put(copy, default)
    return copy
