"""One JSON text against a schema: what does not fit, and where, without quoting it."""

import json
from datetime import date
from typing import Any

import pytest

from llmstack.middleware._validation.schema_answer import AnswerSchema

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "ages": {"type": "array", "items": {"type": "integer"}}},
    "required": ["name", "ages"],
    "additionalProperties": False,
}


def test_every_problem_is_told_with_its_path():
    """Names are those of the schema; others are not quoted."""
    problems = AnswerSchema(SCHEMA).problems('{"ages": [1, "x", 2.5], "secret name": {"x": 1}}')
    assert problems == [
        ("", "must have no properties but those that the schema names"),
        ("", 'must have the properties ["name"]'),
        (".ages[1]", 'must be of type "integer"'),
        (".ages[2]", 'must be of type "integer"'),
    ]
    free = {
        "additionalProperties": {"anyOf": [{"type": "object", "properties": {"n": {"maximum": 3}}}, {"type": "null"}]}
    }
    assert AnswerSchema(free).problems('{"jane@example.com": {"n": 4}}') == [(".*.n", "must be at most 3")]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000, "9" * 10_000, '{"a": 1e999}'])
def test_no_answer_makes_the_check_fail(text):
    """However deep, however long."""
    AnswerSchema({"properties": {"a": {"$ref": "#"}}}).problems(text)


def test_a_wrong_list_does_not_make_thousands_of_issues():
    """The first are told, and that there are more."""
    problems = AnswerSchema({"items": {"type": "string"}}).problems(json.dumps([1] * 5000))
    assert len(problems) == 21
    assert problems[-1] == ("", "and more does not fit")


def test_references_are_followed_in_the_schema_only():
    """What is elsewhere is never fetched: the answer is then only checked for being JSON."""
    local = AnswerSchema({"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}})
    assert local.problems('{"a": "x"}') == [(".a", 'must be of type "integer"')]
    remote = AnswerSchema({"properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}})
    assert remote.problems('{"a": "x"}') == []
    assert remote.unusable == "it refers to what is not in it"
    assert AnswerSchema({"type": 7}).unusable == "it is no valid JSON schema"


def test_formats_are_not_asserted():
    """The API does not promise them."""
    assert AnswerSchema({"type": "string", "format": "email"}).problems('"x"') == []


def test_a_json_object_has_only_to_be_one():
    """That is what response_format json_object promises."""
    assert AnswerSchema().problems('{"anything": 1}') == []
    assert AnswerSchema().problems("[]") == [("", "must be a JSON object")]


def test_a_schema_is_compiled_once(monkeypatch):
    """Equal schemas share what was made of them, which takes milliseconds; what is kept is bounded."""
    from llmstack.middleware._validation import schema_answer

    made: list[Any] = []
    make = schema_answer._made  # noqa: SLF001

    def counted(schema: Any) -> Any:
        made.append(schema)
        return make(schema)

    monkeypatch.setattr(schema_answer, "_made", counted)
    for _ in range(5):
        assert AnswerSchema({"title": "compiled once", **SCHEMA}).problems('{"name": "x", "ages": []}') == []
    assert len(made) == 1
    for i in range(100):
        AnswerSchema({"title": f"one of many: {i}"})
    assert schema_answer._validator_of.cache_info().currsize <= 64  # noqa: SLF001


def test_a_schema_that_the_program_changes_is_another():
    """What was made of it before does not change with it; tuples are lists, as they are sent."""
    schema: dict[str, Any] = {"type": "object", "required": ("a",)}
    before = AnswerSchema(schema)
    assert before.unusable == ""
    assert before.problems("{}")
    schema["required"] = ()
    assert before.problems("{}")
    assert AnswerSchema(schema).problems("{}") == []


def test_a_schema_of_more_than_json_breaks_nothing():
    """The SDK sends dates, so they are told as it sends them."""
    assert AnswerSchema({"enum": [date(2026, 1, 2)]}).problems("1") == [("", 'must be one of ["2026-01-02"]')]


def deep() -> dict[str, Any]:
    """A schema that is deeper than Python reads."""
    schema: dict[str, Any] = {}
    for _ in range(900):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize("schema", [deep(), {"items": "x"}, {"type": 5}], ids=["deep", "items", "type"])
def test_what_is_no_schema_is_said(schema):
    """Answers only have to be JSON then."""
    assert AnswerSchema(schema).unusable
    assert AnswerSchema(schema).problems("1") == []
