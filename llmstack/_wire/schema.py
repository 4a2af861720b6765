"""Schemas with which pydantic-core makes just what the SDK's `construct` makes, in one pass over the JSON.

`construct` builds a reply in Python, field by field, and checks nothing: a value that does not fit stays as it is, what
is missing becomes the default, what is new is kept. Only where it meets a union it asks pydantic first, with all its
conversions, and goes on by itself if that fails. A schema here says the same in pydantic-core's own words. What cannot
be said (aliases, which `construct` keeps twice; dates; generics) is left to the SDK, for that part of the reply alone.

The rules are those of ``openai/_models.py``: `BaseModel.construct`, `_construct_field`, `construct_type`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeGuard, TypeVar, Union, cast, get_args, get_origin

from openai import BaseModel
from pydantic import TypeAdapter
from pydantic_core import CoreSchema, core_schema

from llmstack._wire.sdk_hot import UNION_TYPES, construct, discriminated, is_plain

__all__ = ["Unsayable", "schema_of"]

_AS_IT_IS: Final = core_schema.any_schema()
_KEPT: Final = (str, int, bool, bytes, object, Any, type(None))
"""Types whose values `construct` leaves as they are, whatever they are."""

_EXACT: Final = 2**53
"""Whole numbers below this become floats without loss; `construct` leaves others as they are."""


class Unsayable(Exception):  # noqa: N818 - not an error: the SDK does it
    """A type of which `construct` makes something that no schema can say."""


def schema_of(annotation: Any) -> CoreSchema:
    """The schema for what ``construct_type(value=..., type_=annotation)`` makes of JSON.

    Args:
        annotation: A type that the SDK parses into.

    Raises:
        Unsayable: If nothing can be said, or there is nothing to say: it is no model and no union of models.
    """
    target, _ = _stripped(annotation, ())
    builder = _Builder()
    schema = builder.of(annotation)
    if schema["type"] == "function-plain" or not (_is_union(target) or _is_model(target)):
        raise Unsayable
    return builder.defined(schema)


class _Builder:
    """Makes the schemas of one type; models that have been met are referred to."""

    def __init__(self) -> None:
        self._definitions: dict[str, CoreSchema] = {}
        self._known: dict[type, str] = {}

    def defined(self, schema: CoreSchema) -> CoreSchema:
        """A schema together with what it refers to."""
        definitions = [*self._definitions.values()]
        return core_schema.definitions_schema(schema, definitions) if definitions else schema

    def of(self, annotation: Any, metadata: tuple[Any, ...] = ()) -> CoreSchema:
        """What `construct_type` makes."""
        target, known = _stripped(annotation, metadata)
        origin = get_origin(target) or target
        if origin in UNION_TYPES:
            return self._union(target, known, _by_sdk(annotation, metadata))
        if origin in (dict, list):
            return self._container(target, origin)
        if _is_model(target):
            return self._model_or_list(target)
        if origin is Literal or target in _KEPT:
            return _AS_IT_IS
        return _FLOAT if origin is float else _by_sdk(annotation, metadata)

    def _container(self, target: Any, origin: Any) -> CoreSchema:
        items = self.of((get_args(target) or (object,))[-1])
        made = core_schema.list_schema(items) if origin is list else core_schema.dict_schema(_AS_IT_IS, items)
        return _or_as_it_is(made)

    # Models -----------------------------------------------------------------------------------------------------

    def _model_or_list(self, model: type[BaseModel]) -> CoreSchema:
        try:
            made = self._model(model)
        except Unsayable:
            return _by_sdk(model)
        # Where an object is due, a list of them is one of objects; anything else stays.
        entries = core_schema.list_schema(_or_as_it_is(made))
        return _first_of(made, entries, _AS_IT_IS)

    def _model(self, model: type[BaseModel]) -> CoreSchema:
        ref = self._known.get(model)
        if ref is None:
            if not is_plain(model):
                raise Unsayable
            ref = self._known[model] = f"construct:{model.__module__}.{model.__qualname__}:{id(model)}"
            fields = {
                name: core_schema.model_field(self._field(field.annotation, tuple(field.metadata)))
                for name, field in model.model_fields.items()
            }
            made = core_schema.model_schema(
                model,
                core_schema.model_fields_schema(fields, model_name=model.__name__, extra_behavior="allow"),
                config=core_schema.CoreConfig(extra_fields_behavior="allow"),
            )
            self._definitions[ref] = core_schema.no_info_after_validator_function(_forget_extras, made, ref=ref)
        return core_schema.definition_reference_schema(ref)

    def _field(self, annotation: Any, metadata: tuple[Any, ...]) -> CoreSchema:
        # A null is as good as nothing: both become the default, which is None (see `is_plain`).
        schema = self.of(annotation, metadata)
        if schema is not _AS_IT_IS:
            schema = core_schema.nullable_schema(schema)
        return core_schema.with_default_schema(schema, default=None)

    # Unions -----------------------------------------------------------------------------------------------------

    def _union(self, target: Any, metadata: tuple[Any, ...], by_sdk: CoreSchema) -> CoreSchema:
        """What pydantic makes of it; if it refuses, the variant that the tag names; else the first one."""
        variants = get_args(target)
        if all(map(_stays, variants)):
            return _AS_IT_IS
        if len(variants) == 2 and variants[1] is type(None) and _is_union(variants[0]):  # noqa: PLR2004 - T | None
            return core_schema.nullable_schema(self.of(variants[0]))
        tagged = discriminated(target, metadata)
        tags = _tags(variants)
        if tags is not None:
            choices: list[Any] = [self._valid_by_tag(tags)]
            if tagged is not None:
                choices.append(self._tagged(*tagged))
            return _first_of(*choices, by_sdk)
        otherwise = self.of(variants[0]) if tagged is None and _is_total(variants[0]) else by_sdk
        return _first_of(self._valid(target), otherwise)

    def _tagged(self, field: str, mapping: dict[str, type[BaseModel]]) -> CoreSchema:
        models: dict[Any, CoreSchema] = {tag: self._model_or_list(model) for tag, model in mapping.items()}
        return core_schema.tagged_union_schema(models, field)

    def _valid_by_tag(self, tags: dict[str, list[type[BaseModel]]]) -> CoreSchema:
        """What pydantic makes of a union each variant of which has a tag.

        With a tag that is there only the variants that know it can be valid: no other is tried. What has no tag, or one
        that nobody knows, is refused here and so left to the SDK.
        """
        unions: dict[str, Any] = {tag: Union[tuple(models)] for tag, models in tags.items()}  # noqa: UP007 - of a tuple
        schemas: dict[Any, CoreSchema] = {tag: self._valid(union) for tag, union in unions.items()}
        return core_schema.tagged_union_schema(schemas, "type")

    def _valid(self, target: Any) -> CoreSchema:
        """Pydantic's own schema of a type."""
        if _is_model(target):
            target.model_rebuild()  # the SDK leaves that until the model is needed
            schema: Any = target.__pydantic_core_schema__
        else:
            schema = TypeAdapter(target).core_schema
        if schema["type"] != "definitions":
            return cast("CoreSchema", schema)
        # What refers to itself is defined once for all.
        for definition in schema["definitions"]:
            self._definitions.setdefault(definition["ref"], definition)
        return cast("CoreSchema", schema["schema"])


def _tags(variants: tuple[Any, ...]) -> dict[str, list[type[BaseModel]]] | None:
    """The variants of a union by their ``type``; None if one of them has no such tag."""
    tags: dict[str, list[type[BaseModel]]] = {}
    for variant in variants:
        model, _ = _stripped(variant, ())
        field = model.model_fields.get("type") if _is_model(model) else None
        if field is None or field.alias is not None or get_origin(field.annotation) is not Literal:
            return None
        for tag in get_args(field.annotation):
            if not isinstance(tag, str):
                return None
            tags.setdefault(tag, []).append(model)
    return tags


def _is_model(target: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(target, type) and issubclass(target, BaseModel)


def _is_union(variant: Any) -> bool:
    return get_origin(_stripped(variant, ())[0]) in UNION_TYPES


def _is_total(variant: Any) -> bool:
    """Whether `construct_type` makes something of any value for this type, so that no further variant is tried."""
    target, _ = _stripped(variant, ())
    if _is_model(target):
        return is_plain(target)
    return target in _KEPT or get_origin(target) is Literal


def _stays(variant: Any) -> bool:
    """Whether pydantic leaves JSON that it takes for this type as it is: texts and nulls; it makes numbers of texts."""
    target, _ = _stripped(variant, ())
    if get_origin(target) is Literal:
        return all(isinstance(value, str) for value in get_args(target))
    return target in (str, type(None))


# What the SDK does in Python ----------------------------------------------------------------------------------------


def _by_sdk(annotation: Any, metadata: tuple[Any, ...] = ()) -> CoreSchema:
    def made(value: object) -> Any:
        return construct(value, annotation, metadata)

    return core_schema.no_info_plain_validator_function(made)


def _forget_extras(model: BaseModel) -> BaseModel:
    """Take what is new out of the fields that are set: pydantic counts it among them, `construct` does not."""
    extra = model.__pydantic_extra__
    if extra:
        model.__pydantic_fields_set__.difference_update(extra)
    return model


def _first_of(*schemas: CoreSchema) -> CoreSchema:
    return core_schema.union_schema([*schemas], mode="left_to_right")


def _or_as_it_is(schema: CoreSchema) -> CoreSchema:
    return _first_of(schema, _AS_IT_IS)


_FLOAT: Final = _first_of(core_schema.float_schema(strict=True, gt=-_EXACT, lt=_EXACT), _by_sdk(float))


def _stripped(annotation: Any, metadata: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """A type without what it is annotated with, and that."""
    target = getattr(annotation, "__value__", annotation)
    if isinstance(target, TypeVar):
        return object(), metadata  # left to the SDK
    if metadata:
        return target, metadata
    return (get_args(target)[0], get_args(target)[1:]) if get_origin(target) is Annotated else (target, ())
