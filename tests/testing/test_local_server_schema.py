"""Values made to satisfy a schema: those pydantic writes, and those it does not."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from llmstack.testing._api.schema import instance_of


class Node(BaseModel):
    name: str = Field(min_length=3, max_length=5)
    kind: Literal["leaf", "branch"]
    children: list[Node]
    parent: Node | None
    weight: float = Field(ge=2, le=3)
    count: int = Field(gt=5, lt=9)


FIELD_TYPES: list[Any] = [str, int, float, bool, list[str], dict[str, int], str | None, Literal["a", "b"], Node]


@given(st.lists(st.sampled_from(FIELD_TYPES), max_size=5), st.text(max_size=20))
def test_a_models_schema_gets_an_instance_of_it(types: list[Any], text: str) -> None:
    """Whatever the fields, whatever the text."""
    fields: dict[str, Any] = {f"field_{number}": (kind, ...) for number, kind in enumerate(types)}
    model = create_model("Model", **fields)
    model.model_validate(instance_of(model.model_json_schema(), text))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "text"),
        ({"const": 7}, 7),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"oneOf": [{"type": "boolean"}, {"type": "string"}]}, True),
        ({"type": "string", "format": "date"}, "2023-11-14"),
        ({"properties": {"a": {"type": "string"}}}, {"a": "text"}),
        (
            {
                "allOf": [{"$ref": "#/definitions/a"}, {"properties": {"b": {"type": "null"}}}],
                "definitions": {"a": {"type": "object", "properties": {"a": {"type": "number"}}}},
            },
            {"a": 1.0, "b": None},
        ),
    ],
)
def test_other_schemas(schema: dict[str, Any], value: object) -> None:
    """One rule each."""
    assert instance_of(schema, "text") == value
