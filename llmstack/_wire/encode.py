"""Request bodies without the SDK's transform, and equal to what it makes.

The transform walks a body along its type and tries each value against every variant of a union. All that it can change
is this: a key that has another name on the wire, a date or a file where one may stand, pydantic objects, iterables, and
what was left out. In plain JSON values only the first is possible, so a body of nothing else is copied and done. A
plan, computed once for a type, knows the keys that are renamed (none, as it happens, in what is asked most).

The rules are those of ``openai/_utils/_transform.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import pydantic
from openai import NotGiven, Omit, omit

from llmstack._wire.sdk_hot import is_typed_dict, key_on_the_wire, transformed, type_hints, unannotated

__all__ = ["BY_SDK", "body_of"]

BY_SDK: Final = object()
"""What `body_of` returns for a body that the SDK must transform."""

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_LISTS: Final = (list, Iterable, Sequence)


class _Odd(Exception):  # noqa: N818 - a signal
    """A value that is no plain JSON."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the transform can do to a body of some type.

    Attributes:
        renamed: Keys, anywhere inside, with another name on the wire.
        entries: For keys that hold a list: what each entry is transformed by, once for each variant of the body.
    """

    renamed: frozenset[str]
    entries: Mapping[str, tuple[tuple[Any, Any], ...]]


def body_of(given: Any, kind: Any) -> Any:
    """The body that the SDK would make of the arguments of a call.

    Args:
        given: The arguments; of those that were left out the value is `openai.omit`.
        kind: The SDK's type of them.

    Returns:
        The body, which shares nothing that can be changed with what was given; `BY_SDK` if the SDK must make it.
    """
    plan = _plan(kind)
    if plan is None or type(given) is not dict or not plan.renamed.isdisjoint(given):
        return BY_SDK
    try:
        return {
            name: value if type(value) is str else _value(name, value, plan)
            for name, value in given.items()
            if value is not omit and not (type(value) not in _PLAIN and isinstance(value, (Omit, NotGiven)))
        }
    except (_Odd, RecursionError):
        return BY_SDK


def _value(name: str, value: Any, plan: _Plan) -> Any:
    if type(value) is list and name in plan.entries:
        return [entry if type(entry) is str else _entry(entry, plan, plan.entries[name]) for entry in value]
    return _copied(value, plan.renamed)


def _entry(entry: Any, plan: _Plan, kinds: tuple[tuple[Any, Any], ...]) -> Any:
    try:
        return _copied(entry, plan.renamed)
    except _Odd:
        if not _is_of_models(entry):
            raise
    # An answer's message that was put into the conversation as it came. The others need not suffer for it.
    for annotation, inner in kinds:
        entry = transformed(entry, annotation, inner)
    return entry


def _is_of_models(value: Any) -> bool:
    """Whether a value is a pydantic object, or plain JSON with such in it: nothing that is read while it is sent."""
    if isinstance(value, pydantic.BaseModel):
        return True
    if type(value) is dict:
        return all(map(_is_of_models, value.values()))
    return all(map(_is_of_models, value)) if type(value) is list else type(value) in _PLAIN


def _copied(value: Any, renamed: frozenset[str]) -> Any:
    kind = type(value)
    if kind is dict:
        if renamed and not renamed.isdisjoint(value):
            raise _Odd
        return {key: item if type(item) is str else _copied(item, renamed) for key, item in value.items()}
    if kind is list:
        return [item if type(item) is str else _copied(item, renamed) for item in value]
    if kind in _PLAIN:
        return value
    raise _Odd


# The plan -----------------------------------------------------------------------------------------------------------


@cache
def _plan(kind: Any) -> _Plan | None:
    bodies = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if not all(is_typed_dict(body) for body in bodies):
        return None
    entries: dict[str, tuple[tuple[Any, Any], ...]] = {}
    for body in bodies:
        for name, hint in type_hints(body).items():
            bare = unannotated(hint)
            if get_origin(bare) in _LISTS and get_args(bare):
                entries[name] = (*entries.get(name, ()), (hint, get_args(bare)[0]))
    # A key that holds a list in one variant only is transformed by none of the above.
    everywhere = {name: kinds for name, kinds in entries.items() if len(kinds) == len(bodies)}
    return _Plan(frozenset(_renamed(kind, set())), everywhere)


def _renamed(annotation: Any, seen: set[Any]) -> Iterator[str]:
    """The keys that are renamed in a type or anything it is made of."""
    bare = unannotated(getattr(annotation, "__value__", annotation))
    if is_typed_dict(bare):
        if bare in seen:
            return
        seen.add(bare)
        for name, hint in type_hints(bare).items():
            if key_on_the_wire(name, hint) != name:
                yield name
            yield from _renamed(hint, seen)
        return
    for part in get_args(bare):
        yield from _renamed(part, seen)
