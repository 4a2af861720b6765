"""The SDK's internals that llmstack touches to do faster what the SDK does.

Nothing depends on them but speed: should one be missing, or be another than in the versions that we know, the SDK
itself does its work, as if this file were not there.
"""

from __future__ import annotations

import importlib
from operator import attrgetter
from types import UnionType
from typing import Any, Final, Union

import openai
from openai._base_client import AsyncAPIClient, SyncAPIClient

__all__ = [
    "UNION_TYPES",
    "construct",
    "discriminated",
    "is_plain",
    "is_typed_dict",
    "key_on_the_wire",
    "parses_as_usual",
    "sdk_models",
    "sdk_transform",
    "transformed",
    "type_hints",
    "unannotated",
    "with_request_id",
]

sdk_models: Any = importlib.import_module("openai._models")
sdk_transform: Any = importlib.import_module("openai._utils._transform")

UNION_TYPES: Final = (Union, UnionType)
"""What the SDK takes for a union."""

# Parsing ------------------------------------------------------------------------------------------------------------

_parsing: Final = attrgetter("_process_response", "_process_response_data")
_PARSING: Final = (_parsing(SyncAPIClient), _parsing(AsyncAPIClient))


def parses_as_usual(client: Any) -> bool:
    """Whether a client makes of JSON what the SDK's own makes of it: nobody has put a method of theirs in between."""
    return (
        _parsing(type(client)) in _PARSING
        and not client._strict_response_validation  # noqa: SLF001 - see the head
        and _PARSING_NAMES.isdisjoint(vars(client))
    )


_PARSING_NAMES: Final = frozenset({"_process_response", "_process_response_data"})


def with_request_id(parsed: Any, request_id: str | None) -> Any:
    """A parsed answer that knows the id of its request, as far as it is a model."""
    if isinstance(parsed, openai.BaseModel):
        sdk_models.add_request_id(parsed, request_id)
    return parsed


def construct(value: object, kind: Any, metadata: tuple[Any, ...]) -> Any:
    """What the SDK makes of a JSON value for a type."""
    return sdk_models.construct_type(value=value, type_=kind, metadata=[*metadata] or None)


def discriminated(union: Any, metadata: tuple[Any, ...]) -> tuple[str, dict[str, Any]] | None:
    """The field whose value tells the variants of a union apart, and the variants by it; None if nothing does."""
    details = sdk_models._build_discriminated_union_meta(union=union, meta_annotations=metadata)  # noqa: SLF001 - as above
    if details is None:
        return None
    return details.field_alias_from or details.field_name, details.mapping


def is_plain(model: type[openai.BaseModel]) -> bool:
    """Whether `construct` does with a model what it does with most: no aliases, no defaults but None, extras kept."""
    own: Any = vars(sdk_models.BaseModel)["construct"]
    if own.__func__ is not getattr(model.construct, "__func__", None) or hasattr(model, "build"):
        return False
    if model.model_config.get("extra") != "allow" or model.__pydantic_generic_metadata__["origin"] is not None:
        return False
    if sdk_models._get_extra_fields_type(model) is not None:  # noqa: SLF001 - as above
        return False
    return all(
        field.alias in (None, name) and field.default_factory is None and (field.is_required() or field.default is None)
        for name, field in model.model_fields.items()
    )


# Transforming -------------------------------------------------------------------------------------------------------


def transformed(value: Any, annotation: Any, inner: Any) -> Any:
    """What the SDK makes of one entry of a list in a request body."""
    return sdk_transform._transform_recursive(value, annotation=annotation, inner_type=inner)  # noqa: SLF001 - see the head


def type_hints(kind: Any) -> dict[str, Any]:
    """The keys of one of the SDK's parameter types, with all that they are annotated with."""
    hints: dict[str, Any] = sdk_transform.get_type_hints(kind, include_extras=True)
    return hints


def is_typed_dict(kind: Any) -> bool:
    """Whether a type is one of those that the SDK transforms key by key."""
    found: bool = sdk_transform.is_typeddict(kind)
    return found


def unannotated(annotation: Any) -> Any:
    """A type without ``Required``, ``Annotated`` and the like."""
    return sdk_transform.strip_annotated_type(annotation)


def key_on_the_wire(name: str, annotation: Any) -> str:
    """What a key is called in the request."""
    key: str = sdk_transform._maybe_transform_key(name, annotation)  # noqa: SLF001 - see the head
    return key
