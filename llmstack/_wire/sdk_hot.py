"""The SDK's internals that llmstack touches to do faster what the SDK does.

Nothing depends on them but speed: should one be missing, or be another than in the versions that we know, the SDK
itself does its work, as if this file were not there.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from operator import attrgetter
from types import UnionType
from typing import Any, Final, Union

import httpx2
import openai
from openai import NotGiven, Omit
from openai._base_client import AsyncAPIClient, SyncAPIClient

from llmstack._wire.genuine import OPENAI, OURS, is_genuine, is_one_of

__all__ = [
    "UNION_TYPES",
    "builds_as_usual",
    "built",
    "construct",
    "decodes_vectors",
    "discriminated",
    "is_plain",
    "is_typed_dict",
    "json_text",
    "key_on_the_wire",
    "know_builder",
    "parses_as_usual",
    "sdk_models",
    "sdk_transform",
    "state_of",
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
_PARSING: Final = [
    found
    for found in (_parsing(SyncAPIClient), _parsing(AsyncAPIClient))
    if all(is_genuine(function, OPENAI) for function in found)
]


def parses_as_usual(client: Any) -> bool:
    """Whether a client makes of JSON what the SDK's own makes of it: nobody has put a method of theirs in between."""
    return (
        is_one_of(_parsing(type(client)), _PARSING)
        and not client._strict_response_validation  # noqa: SLF001 - see the head
        and _PARSING_NAMES.isdisjoint(vars(client))
    )


_PARSING_NAMES: Final = frozenset({"_process_response", "_process_response_data"})


def with_request_id(parsed: Any, request_id: str | None) -> Any:
    """A parsed answer that knows the id of its request, as far as it is a model."""
    if isinstance(parsed, openai.BaseModel):
        sdk_models.add_request_id(parsed, request_id)
    return parsed


_vector_parser: Any = None
with suppress(ImportError):  # early versions make a new function for each call
    _vector_parser = getattr(
        importlib.import_module("openai.lib._parsing._embeddings"), "parse_embedding_response", None
    )


def decodes_vectors(post_parser: Any) -> bool:
    """Whether this is what the SDK does to embeddings that it has asked for as base64, and the program has not."""
    return (
        type(post_parser) is partial
        and post_parser.func is _vector_parser
        and not post_parser.args
        and post_parser.keywords.keys() == {"encoding_format"}
        and isinstance(post_parser.keywords["encoding_format"], (NotGiven, Omit))
    )


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


# Building requests --------------------------------------------------------------------------------------------------

_METHODS: Final = tuple(
    name
    for name in (
        "_admin_api_key_auth", "_auth_headers", "_auth_query", "_bearer_auth", "_build_headers", "_build_request",
        "_custom_auth", "_prepare_options", "_prepare_request", "_prepare_url", "_refresh_api_key", "_send_request",
        "_send_with_auth_retry", "_should_stream_response_body", "_validate_headers", "auth_headers", "base_url",
        "default_headers", "default_query", "platform_headers", "qs", "user_agent",
    )
    if hasattr(openai.OpenAI, name)
)  # fmt: skip
_methods: Final = attrgetter(*_METHODS)
_builders: list[tuple[Any, ...]] = []
_codec: Any = importlib.import_module("openai._utils._json")
_log: Final = logging.getLogger("openai._base_client")

json_text: Final[Callable[[Any], str]] = _codec._CustomEncoder(  # noqa: SLF001 - see the head
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode
"""JSON as the SDK writes it."""


def know_builder(client: type) -> None:
    """Remember the methods by which a client class builds and sends requests, if they are the SDK's own and ours."""
    found = _methods(client)
    functions = [getattr(method, "fget", method) for method in found]
    if all(is_genuine(function, OPENAI, OURS) for function in functions):
        _builders.append(found)


def builds_as_usual(client: Any) -> bool:
    """Whether a client builds and sends its requests as a class that is known does, with a key that it was made with.

    Otherwise (a method of somebody else's in between, tokens that are fetched, a provider) the SDK builds each request.
    """
    own = vars(client)
    return (
        is_one_of(_methods(type(client)), _builders)
        and own.keys().isdisjoint(_METHODS)
        and not any(own.get(name) for name in _FETCHED)
        and not _log.isEnabledFor(logging.DEBUG)  # it tells of each step
    )


_FETCHED: Final = ("_api_key_provider", "_workload_identity_auth", "_provider_runtime", "workload_identity",
                   "_idempotency_header")  # fmt: skip


def state_of(client: Any) -> tuple[Any, ...]:
    """Whatever of a client shows in its requests, and may be changed."""
    own = vars(client)
    timeout, query = own["timeout"], own["_custom_query"]
    if isinstance(timeout, httpx2.Timeout):
        timeout = (timeout.connect, timeout.read, timeout.write, timeout.pool)
    return (
        own["api_key"], own.get("admin_api_key"), own["organization"], own["project"], own["_base_url"],
        type(timeout), timeout, dict(own["_custom_headers"]), repr(query) if query else "", own["_platform"],
    )  # fmt: skip


def built(client: Any, options: Any) -> Any:
    """The request that the SDK would send."""
    return client._build_request(options)  # noqa: SLF001 - see the head
