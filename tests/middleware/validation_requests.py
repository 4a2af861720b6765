"""Valid requests, made from the SDK's own parameter types.

Every type is followed field by field; where a field means more than its type says (a range, a name, a call that needs a
result), a strategy of its own stands in its place.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Literal, Required, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

TEXT = st.text(max_size=8)
NAME = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
METADATA = st.dictionaries(st.text("abc_", min_size=1, max_size=8), TEXT, max_size=16)
_DEEPEST = 4


def _schemas() -> st.SearchStrategy[dict[str, Any]]:
    """JSON schemas that strict mode takes."""
    leaves: st.SearchStrategy[Any] = st.sampled_from(
        [{"type": "string"}, {"type": ["integer", "null"]}, {"type": "number", "minimum": 0}, {"enum": ["a", 1]}]
    )

    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(_objects(inner), st.builds(lambda item: {"type": "array", "items": item}, inner))

    return _objects(st.recursive(leaves, deeper, max_leaves=4))


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.text("abcd", min_size=1, max_size=3), inner, max_size=3).map(
        lambda properties: {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


SCHEMA = _schemas()
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "n": st.integers(1, 10),
    "best_of": st.just(10),
    "presence_penalty": st.floats(-2, 2),
    "frequency_penalty": st.floats(-2, 2),
    "logit_bias": st.dictionaries(st.integers(0, 200_000).map(str), st.integers(-100, 100), max_size=3),
    "max_completion_tokens": st.integers(1, 10**6),
    "max_output_tokens": st.integers(16, 10**6),
    "max_tool_calls": st.integers(1, 100),
    "stop": st.one_of(st.text(min_size=1, max_size=3), st.lists(st.text(min_size=1, max_size=3), max_size=4)),
    "metadata": METADATA,
    "dimensions": st.integers(1, 3072),
    "speed": st.floats(0.25, 4),
    "output_compression": st.integers(0, 100),
    "partial_images": st.integers(0, 3),
    "model": st.sampled_from(["gpt-6-luna", "a-new-model", "ft:gpt-6-luna:acme::1"]),
    "parameters": SCHEMA,
    "schema": SCHEMA,
    "name": NAME,
}
LEFT_OUT = frozenset(
    # What goes only with something else, or not with it.
    {"max_tokens", "tool_choice", "functions", "function_call", "logprobs", "top_logprobs", "stream_options", "stream"}
    | {"previous_response_id", "conversation", "tools"}
)


@cache
def request(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Requests of one type of the SDK's, such as ``"embedding_create_params:EmbeddingCreateParams"``."""
    module, _, cls = name.partition(":")
    return _typed_dict(getattr(import_module(f"openai.types.{module}"), cls), 0, LEFT_OUT)


@cache
def tools(module: str, name: str) -> st.SearchStrategy[list[Any]]:
    """Lists of tools, each with a name of its own."""
    offered = _value(getattr(import_module(f"openai.types.{module}"), name), 1)
    return st.lists(offered, min_size=1, max_size=3)


def _typed_dict(kind: Any, depth: int, left_out: frozenset[str] = frozenset()) -> st.SearchStrategy[dict[str, Any]]:
    needed, more = {}, {}
    for field, hint in get_type_hints(kind, include_extras=True).items():
        required = get_origin(hint) is Required
        if field in left_out or (depth >= _DEEPEST and not required):
            continue
        known = FIELDS.get(field)
        strategy = _value(get_args(hint)[0] if required else hint, depth + 1) if known is None else known
        (needed if required else more)[field] = strategy
    return st.fixed_dictionaries(needed, optional=more)


@cache
def _value(hint: Any, depth: int) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: _resolved(hint, depth))


def _resolved(hint: Any, depth: int) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each kind of type
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Union or origin is types.UnionType:
        return st.one_of([_value(part, depth) for part in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if hasattr(hint, "__total__"):
        return _typed_dict(hint, depth)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(st.text("abc", min_size=1, max_size=3), _value(arguments[1], depth + 1), max_size=2)
    if (isinstance(origin, type) and issubclass(origin, Iterable)) or getattr(
        origin, "__name__", ""
    ) == "SequenceNotStr":
        return st.lists(_value(arguments[0], depth + 1), min_size=1, max_size=2)
    return st.sampled_from(["x", {"a": 1}, [1, None]])


_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(1, 1000),
    float: st.floats(0, 1),
    bool: st.booleans(),
    type(None): st.none(),
}


@st.composite
def conversations(draw: st.DrawFn) -> list[Any]:
    """Chat messages of the SDK's types; every tool call gets its result."""
    said = "chat.chat_completion_{0}_message_param:ChatCompletion{1}MessageParam"
    plain = [request(said.format(role, role.title())) for role in ("developer", "system", "user")]
    assistant = request(said.format("assistant", "Assistant"))
    messages: list[Any] = []
    for turn in range(draw(st.integers(1, 4))):
        messages.append(draw(st.one_of(plain)))
        answer = {**draw(assistant), "content": "x"}
        answer.pop("tool_calls", None)
        calls = [
            {"id": f"{turn}-{i}", "type": "function", "function": {"name": draw(NAME), "arguments": draw(TEXT)}}
            for i in range(draw(st.integers(0, 3)))
        ]
        messages.append({**answer, "tool_calls": calls} if calls else answer)
        for call in draw(st.permutations(calls)):
            tool = draw(request(said.format("tool", "Tool")))
            messages.append({**tool, "tool_call_id": call["id"]})
    messages.append(draw(st.one_of(plain)))
    return messages


_PAIRED = ("function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output")


@st.composite
def items(draw: st.DrawFn) -> list[Any]:
    """Responses items of the SDK's types; every function call gets its output."""
    module = import_module("openai.types.responses.response_input_item_param")
    single = _value(module.ResponseInputItemParam, 1).filter(lambda item: item.get("type") not in _PAIRED)
    found = draw(st.lists(single, min_size=1, max_size=4))
    for i in range(draw(st.integers(0, 2))):
        call_id = f"call_{i}"
        found += [
            {"type": "function_call", "call_id": call_id, "name": draw(NAME), "arguments": draw(TEXT)},
            {"type": "function_call_output", "call_id": call_id, "output": draw(TEXT)},
        ]
    return found
