"""Typed: the SDK's own parameter types as a check of the kinds of JSON values.

The SDK describes each request with TypedDicts. Read strictly they would refuse what the API accepts: models, roles and
parameters that came after this SDK, or fields that it calls required and the API does not. So only this is taken from
them: a parameter that the SDK knows has one of the kinds of JSON values that the SDK knows for it. Null passes, and so
does an object whose ``type`` or ``role`` is none of those known.

pydantic could run these types, yet its errors name the branches of unions instead of fields, it cannot pass unknown
literals, and it would use up iterators. The types are therefore compiled to a check of our own, once for an endpoint.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints

from llmstack.middleware._validation.finding import Findings, a, is_array, is_object, kind, member

_TAGS = ("type", "role")
_ANY = frozenset({"string", "boolean", "integer", "number", "object", "array"})
_SCALARS: dict[Any, frozenset[str]] = {
    str: frozenset({"string"}),
    bool: frozenset({"boolean"}),
    int: frozenset({"integer"}),
    float: frozenset({"number", "integer"}),
    type(None): frozenset(),
}
_CLASSES: dict[str, type] = {"string": str, "boolean": bool, "integer": int}


class Shape:
    """What kinds of values may stand in one place, and what may be in them."""

    __slots__ = ("_found", "_only", "classes", "item", "kinds", "objects", "values")

    def __init__(self) -> None:
        """Nothing fits, until kinds are added."""
        self.kinds: frozenset[str] = frozenset()
        # For arrays whose items are all of these classes, one C-speed pass is enough.
        self.classes: frozenset[type] = frozenset({type(None)})
        self.item: Shape | None = None
        self.values: Shape | None = None
        self.objects: list[Fields] | None = []
        self._found: dict[tuple[Any, Any], list[Fields]] = {}
        self._only: dict[tuple[Any, Any], Fields] = {}

    def fits(self, value: Any) -> bool:
        """True if nothing is wrong in here; the fast half."""
        cls = type(value)
        if cls in self.classes:
            return True
        if cls is dict:
            try:
                only = self._only.get((value.get("type"), value.get("role")))
            except TypeError:  # a tag that is a list
                only = None
            if only is not None:
                return only.fit(value)
        found = kind(value)
        if found == "object" and "object" in self.kinds:
            if self.values is not None:
                return all(map(self.values.fits, value.values()))
            candidates = self._candidates(value)
            return not candidates or any(fields.fit(value) for fields in candidates)
        if found == "array" and self.item is not None and "array" in self.kinds:
            item = self.item
            return set(map(type, value)) <= item.classes or all(map(item.fits, value))
        return found in self.kinds or found in ("", "null")

    def explain(self, value: Any, path: str, found: Findings) -> None:
        """Tell what does not fit."""
        if self.fits(value):
            return
        if is_object(value) and "object" in self.kinds:
            if self.values is not None:
                for key, item in value.items():
                    self.values.explain(item, member(path, key), found)
            else:
                self._candidates(value)[0].explain(value, path, found)
        elif is_array(value) and "array" in self.kinds and self.item is not None:
            for i, item in enumerate(value):
                self.item.explain(item, f"{path}[{i}]", found)
        else:
            wanted = " or ".join(a(name) for name in _ORDER if name in self.kinds and not self._implied(name))
            found.add(path, f"must be {wanted}, not {a(kind(value))}")

    def _implied(self, name: str) -> bool:
        return name == "integer" and "number" in self.kinds

    def _candidates(self, value: Mapping[str, Any]) -> list[Fields]:
        """The objects that a value may be, by its tags; none if anything may be in it."""
        if not self.objects:
            return []
        tags = kind, role = (value.get("type"), value.get("role"))
        if not ((kind is None or isinstance(kind, str)) and (role is None or isinstance(role, str))):
            return []
        found = self._found.get(tags)
        if found is None:
            found = [fields for fields in self.objects if fields.may_be(tags)]
            if len(self._found) < _REMEMBERED:  # tags come from the program: they must not fill the memory
                self._found[tags] = found
                if len(found) == 1:
                    self._only[tags] = found[0]
        if len(found) > 1:
            # Where tags alone do not decide, what has all that it needs goes before what has not.
            return [fields for fields in found if fields.required <= value.keys()] or found
        return found

    def add(self, other: Shape) -> None:
        """Let in what another shape lets in, too."""
        self.kinds |= other.kinds
        self.classes |= other.classes
        if "array" in other.kinds:
            self.item = _both(self.item, other.item)
        if "object" in other.kinds:
            free = other.values is not None or other.objects is None
            self.objects = None if free or self.objects is None else [*self.objects, *(other.objects or ())]
            self.values = other.values if self.values is None else None


_WIDER: dict[str, Any] = {"logit_bias": Mapping[str, float] | None}
"""Where the API takes more than the types say: of biases the reference itself names "values between -1 and 1"."""

_ORDER = ("string", "number", "integer", "boolean", "array", "object")
_REMEMBERED = 512


class Fields:
    """The fields of one TypedDict."""

    __slots__ = ("_shapes", "_tags", "_typed_dict", "required")

    def __init__(self, typed_dict: Any) -> None:
        """Take the type; its fields are compiled when first needed, since types refer to each other."""
        self._typed_dict = typed_dict
        # Not `__required_keys__`: the SDK postpones its annotations, and then that is always empty.
        marked = get_type_hints(typed_dict, include_extras=True)
        self.required = frozenset(name for name, hint in marked.items() if get_origin(hint) is Required)
        hints = _hints(typed_dict)
        self._tags = [frozenset(_literals(hints[tag])) if tag in hints else None for tag in _TAGS]
        self._shapes: dict[str, Shape] | None = None

    def may_be(self, tags: tuple[Any, Any]) -> bool:
        """False if a tag says that the value is something else."""
        for name, known, tag in zip(_TAGS, self._tags, tags, strict=True):
            if not known:
                continue
            if (tag is None and name in self.required) or (tag is not None and tag not in known):
                return False
        return True

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each field."""
        if self._shapes is None:
            self._shapes = {name: compiled(_WIDER.get(name, hint)) for name, hint in _hints(self._typed_dict).items()}
        return self._shapes

    def fit(self, value: Mapping[str, Any]) -> bool:
        """True if all fields that are known fit."""
        shapes = self._shapes or self.shapes
        for name, item in value.items():
            shape = shapes.get(name)
            # What most values are is told here, without a call.
            if shape is not None and type(item) not in shape.classes and not shape.fits(item):
                return False
        return True

    def explain(self, value: Mapping[str, Any], path: str, found: Findings) -> None:
        """Tell what does not fit."""
        for name, item in value.items():
            if name in self.shapes:
                self.shapes[name].explain(item, member(path, name), found)


def compiled(hint: Any) -> Shape:
    """The shape of a type; anything fits a type that is not understood."""
    shape = Shape()
    origin = get_origin(hint)
    if origin is Union or origin is types.UnionType:
        for part in get_args(hint):
            shape.add(compiled(part))
    elif hint in _SCALARS:
        shape.kinds = _SCALARS[hint]
    elif origin is Literal:
        for value in get_args(hint):
            shape.kinds |= _SCALARS.get(type(value), _ANY)
    elif _is_typed_dict(hint):
        shape.kinds, shape.objects = frozenset({"object"}), [_fields(hint)]
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        shape.kinds, shape.objects = frozenset({"object"}), None
        shape.values = compiled(get_args(hint)[1])
    elif (isinstance(origin, type) and issubclass(origin, Iterable)) or getattr(origin, "__name__", "") == _SEQUENCE:
        shape.kinds, shape.item = frozenset({"array"}), compiled(get_args(hint)[0])
    else:
        shape.kinds, shape.objects = _ANY, None
    shape.classes |= {_CLASSES[name] for name in shape.kinds & _CLASSES.keys()}
    return shape


_SEQUENCE = "SequenceNotStr"
"""The SDK's own type for a sequence that is no text."""


@cache
def _fields(typed_dict: Any) -> Fields:
    return Fields(typed_dict)


@cache
def _hints(typed_dict: Any) -> dict[str, Any]:
    return get_type_hints(typed_dict)


def _is_typed_dict(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, dict) and hasattr(hint, "__required_keys__")


def _literals(hint: Any) -> Iterable[str]:
    """The texts a tag may have; none if it may be any."""
    if get_origin(hint) is Literal:
        yield from (value for value in get_args(hint) if isinstance(value, str))
    elif get_origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            yield from _literals(part)


def _both(one: Shape | None, other: Shape | None) -> Shape | None:
    if one is None or other is None:
        return one or other
    both = Shape()
    both.add(one)
    both.add(other)
    return both


@cache
def shape_of(name: str) -> Fields:
    """The fields of a request type of the SDK.

    Args:
        name: Its module under ``openai.types`` and its own name, such as
            ``"embedding_create_params:EmbeddingCreateParams"``.
    """
    module, _, cls = name.partition(":")
    return _fields(getattr(import_module(f"openai.types.{module}"), cls))


@cache
def tags_of(name: str) -> frozenset[str]:
    """The kinds of objects that a union of the SDK's knows, by their ``type``.

    Args:
        name: Its module under ``openai.types`` and its own name.
    """
    module, _, union = name.partition(":")
    parts = get_args(getattr(import_module(f"openai.types.{module}"), union))
    return frozenset(tag for part in parts if _is_typed_dict(part) for tag in _literals(_hints(part).get("type")))
