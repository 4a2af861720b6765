"""A value that satisfies a JSON schema, for structured outputs and tool arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstack.testing._api.answer import Json

_DEEPEST = 6

_FORMATS = {
    "date-time": "2023-11-14T22:13:20Z",
    "date": "2023-11-14",
    "time": "22:13:20Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "ipv4": "127.0.0.1",
}


def instance_of(schema: Json, text: str) -> Any:
    """A value that satisfies ``schema``.

    Every plain string in it is ``text``, so that the answers to two prompts differ. Understood: types, ``enum``,
    ``const``, ``anyOf``/``oneOf``/``allOf``, ``$ref`` into ``$defs``, lengths, bounds and ``format``; not ``pattern``.
    """
    return _instance(schema, schema, text, 0)


def _instance(schema: Any, root: Json, text: str, depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return text
    if "$ref" in schema:
        return _instance(_resolve(str(schema["$ref"]), root), root, text, depth)
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return _instance(_branch(branches, depth), root, text, depth)
    if schema.get("allOf"):
        return _instance(_merged(schema, root), root, text, depth)
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return values[0] if values else _of_type(schema, root, text, depth)


def _branch(branches: list[Any], depth: int) -> Any:
    """The first branch, or null where the schema has come back to itself too often."""
    if depth > _DEEPEST:
        for branch in branches:
            if branch.get("type") == "null":
                return branch
    return branches[0]


def _merged(schema: Mapping[str, Any], root: Json) -> Json:
    """A schema that says at once what ``allOf`` says in parts."""
    merged: Json = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        full = _resolve(str(part["$ref"]), root) if "$ref" in part else part
        properties = {**merged.get("properties", {}), **full.get("properties", {})}
        merged = {**full, **merged}
        if properties:
            merged["properties"] = properties
    return merged


def _of_type(schema: Mapping[str, Any], root: Json, text: str, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = "null" if depth > _DEEPEST and "null" in kind else kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _instance(part, root, text, depth + 1) for name, part in properties.items()}
    if kind == "array":
        wanted = schema.get("minItems", 1 if depth <= _DEEPEST else 0)
        return [_instance(schema.get("items", {}), root, text, depth + 1) for _ in range(wanted)]
    if kind in {"integer", "number"}:
        return _number(schema, kind)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _string(schema, text)


def _number(schema: Mapping[str, Any], kind: str) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 1) - (kind == "integer"))
    value = min(low, high)
    return int(value) if kind == "integer" else float(value)


def _string(schema: Mapping[str, Any], text: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    padded = text.ljust(schema.get("minLength", 0), ".")
    return padded[: schema["maxLength"]] if "maxLength" in schema else padded


def _resolve(reference: str, root: Json) -> Json:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found[step]
    return dict(found)
