"""Bodies made up from the SDK's own types: right, nearly right and wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)  # fmt: skip

from hypothesis import strategies as st
from openai import BaseModel
from typing_extensions import is_typeddict

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(
        [2**53 + 1, 10**30, 1.5, 1e300, -0.0, 1.0, "1", "1.0", "true", "", "é\u2028", "assistant", "2024-01-02"]
    ),
    st.sampled_from([[], {}, [None], [[]], {"type": "text"}, {"type": "nobody"}, [{}], {"a": [1, {"b": None}]}]),
)
"""What a server may send by mistake, or in a version to come."""
NEW = st.dictionaries(st.sampled_from(["new", "type", "x-y", "index", "error", "async", "schema"]), ODD, max_size=2)


def body(annotation: Any) -> st.SearchStrategy[Any]:
    """Values for a type, mostly such as it says."""
    return st.integers(0, 19).flatmap(lambda n: ODD if n == 0 else _right(annotation))


def _right(annotation: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - a table, by kind of type
    target = getattr(annotation, "__value__", annotation)
    if get_origin(target) is Annotated:
        target = get_args(target)[0]
    origin, args = get_origin(target), get_args(target)
    if origin in (Union, UnionType):
        return st.sampled_from(args).flatmap(body)
    if origin is Literal:
        return st.sampled_from(args)
    if origin is list:
        return st.lists(body(args[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["a", "b", "é"]), body(args[1]), max_size=2)
    if isinstance(target, type) and issubclass(target, BaseModel):
        return _model(target)
    if is_typeddict(target):
        return _typed_dict(target)
    if origin in (Iterable, Sequence) or getattr(origin, "__name__", "") == "SequenceNotStr":
        return st.lists(body(args[0]), max_size=2)
    return _PLAIN.get(target, ODD)


_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.sampled_from(["", "text", "2", "é\U0001f600", 'a "quoted" \\ word']),
    int: st.integers(-2, 2**60),
    float: st.one_of(st.floats(-2, 2), st.integers(-2, 2), st.just(2**53 + 1)),
    bool: st.booleans(),
    NoneType: st.none(),
}


@cache
def _typed_dict(kind: Any) -> st.SearchStrategy[Any]:
    @st.composite
    def made(draw: st.DrawFn) -> dict[str, Any]:
        hints = get_type_hints(kind, include_extras=True)
        made: dict[str, Any] = {}
        for name, hint in hints.items():
            if name in kind.__required_keys__ or draw(st.integers(0, 3)) == 0:
                made[name] = draw(body(_bare(hint)))
        return {**made, **draw(NEW)} if draw(st.integers(0, 5)) == 0 else made

    return st.deferred(made)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint


@cache
def _model(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    @st.composite
    def made(draw: st.DrawFn) -> dict[str, Any]:
        # One number says what is done to the fields, so that most objects are whole.
        fate = draw(st.integers(0, 9))
        made: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            if draw(st.booleans()) if not field.is_required() else (fate == 0 and draw(st.booleans())):
                continue
            made[field.alias or name] = draw(body(field.annotation))
        return {**made, **draw(NEW)} if fate in (1, 2) else made

    return st.deferred(made)
