"""What is parsed in pydantic-core equals what the SDK makes: each field, its type, and what is known to be set."""

from __future__ import annotations

import json
from typing import Any, Literal

import openai
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai.pagination import SyncCursorPage
from openai.types import Completion, CreateEmbeddingResponse, ModerationCreateResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

from llmstack._wire.parse import UNPARSED, Parser, _works, parser_of
from tests.wire.bodies import body

pytestmark = pytest.mark.skipif(not _works(), reason="with this version of pydantic the SDK parses")

TYPES: dict[str, Any] = {
    "chat": ChatCompletion,
    "chat chunk": ChatCompletionChunk,
    "completion": Completion,
    "embedding": CreateEmbeddingResponse,
    "moderation": ModerationCreateResponse,
    "response": Response,
    "response event": ResponseStreamEvent,
}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
thorough = settings(max_examples=150, deadline=None, suppress_health_check=SLOW)


def seen(value: Any) -> Any:
    """All that a program can see of a parsed value."""
    if isinstance(value, openai.BaseModel):
        inside = [(name, seen(item)) for name, item in value.__dict__.items()]
        extra = [(name, seen(item)) for name, item in (value.__pydantic_extra__ or {}).items()]
        return (type(value), inside, extra, value.__pydantic_extra__ is None, value.model_fields_set,
                value.__pydantic_private__)  # fmt: skip
    if isinstance(value, dict):
        return [(name, seen(item)) for name, item in value.items()]
    if isinstance(value, list):
        return [seen(item) for item in value]
    return (type(value), repr(value))


def by_sdk(kind: Any, text: str) -> Any:
    """What the SDK makes of JSON text, or the class of what it raises."""
    try:
        return seen(construct_type(value=json.loads(text), type_=kind))
    except Exception as error:  # noqa: BLE001 - that is what is asked
        return type(error)


def parser(kind: Any) -> Parser:
    found = parser_of(kind)
    assert found is not None
    return found


def ways(kind: Any, text: str) -> list[Any]:
    """What each way to parse makes of it."""
    ours = parser(kind)
    return [ours.content(text.encode()), ours.event(text), ours.value(json.loads(text))]


@pytest.mark.parametrize("name", TYPES)
def test_bodies_of_all_kinds_give_what_the_sdk_gives(name: str) -> None:
    """Missing fields, nulls, unknown fields, wrong types, wrong enum values, anywhere inside."""
    parsed: list[bool] = []

    @thorough
    @given(value=body(TYPES[name]), ascii_only=st.booleans())
    def check(value: Any, *, ascii_only: bool) -> None:
        text = json.dumps(value, ensure_ascii=ascii_only)
        expected = by_sdk(TYPES[name], text)
        for ours in ways(TYPES[name], text):
            parsed.append(ours is not UNPARSED)
            assert ours is UNPARSED or seen(ours) == expected

    check()
    assert sum(parsed) > len(parsed) / 2


ODD_TEXTS = [
    '{"id": "a", "id": "b", "choices": [], "new": 1, "new": 2}',
    '{"id": NaN, "created": Infinity, "model": -Infinity}',
    '{"created": 1e400, "id": -1e400, "model": 1E5, "new": -0, "newer": -0.0}',
    '{"created": 123456789012345678901234567890, "id": 0.1e-7, "model": 1.7976931348623157e308, "new": 5e-324}',
    '{"created": 123456789012345678901234567890.123456789012345678901234567890}',
    '{"id": "\\ud83d\\ude00 \\u0000 \\u00e9 \\u2028"}',
    '{"id": "\\ud83d"}',
    '{"\\u005ffields_set": ["id"], "id": "x"}',
    '{"_fields_set": ["id"], "id": "x"}',
    '{"an_id": 1, "_fields_set": ["id"], "id": "x"}',
    '{"_BaseModel__cls": 1, "id": "x"}',
    '{"choices": [{"_fields_set": [], "index": 1}]}',
    '{"choices": [{"delta": {"\\u005f_cls": [], "role": 1}}]}',
    '{"self": 1, "cls": 2, "values": 3, "m": 4, "model_config": 5, "__dict__": 6, "construct": 7, "": 8}',
    '{"choices": {"index": 0}, "usage": [{"prompt_tokens": 1}], "id": {"a": 1}}',
    '{"choices": [[{"index": 0}, 5, null]], "usage": {"prompt_tokens": "7", "new": 1}}',
    '{"usage": {"prompt_tokens": "seven"}}',
    '[{"id": "x", "choices": [{"index": 0}]}, null, 7, [{}]]',
    "null",
    "7",
    '"text"',
    "true",
    "{}",
    "[]",
    "",
    "{",
    '{"id": "x"} ',
    '\n\t {"id": "x"}',
    '{"id": "x"} {"id": "y"}',
    '{"id": 01}',
    "{'id': 'x'}",
    '{"id": "a\nb"}',
    '{"a": ' + "[" * 300 + "]" * 300 + "}",
    '{"a": ' + "9" * 5000 + "}",
    '{"data": [{"embedding": [1, 1.5, true, "x", null, 9007199254740993, 9007199254740991]}]}',
    '{"results": [{"flagged": true, "categories": {"hate": true, "self-harm": 1, "self_harm": 2, "new/one": null}}]}',
    '{"type": "response.created", "response": {"usage": {"input_tokens": 1}, "output": [{"type": "message"}]}}',
    '{"type": "response.completed", "response": null}',
    '{"type": "error", "message": "x"}',
    '{"type": ["response.created"]}',
    '{"response": {}}',
    '{"type": "response.output_text.delta", "delta": 5, "logprobs": null, "obfuscation": "x"}',
    '{"tools": [{"type": "function", "async": true, "name": "f"}]}',
    '{"text": {"format": {"type": "json_schema", "schema": {}}}}',
    '{"tools": [{"type": "file_search", "filters": {"type": "and", "filters": [{"type": "eq", "key": 1}]}}]}',
    '{"output": [{"type": "web_search_call", "action": {"type": "search"}}, {"type": "new"}, {}, null, "x"]}',
    '{"error": {"message": "x"}, "id": "y"}',
]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_json_gives_what_the_sdk_gives(name: str, text: str) -> None:
    """Or is left to it."""
    expected = by_sdk(TYPES[name], text)
    ours = parser(TYPES[name])
    for found in (ours.content(text.encode("utf-8", "surrogatepass")), ours.event(text)):
        assert found is UNPARSED or seen(found) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig", "latin-1"])
def test_other_encodings_are_left_to_the_sdk(encoding: str) -> None:
    """Httpx finds out which it is; pydantic-core reads UTF-8 only."""
    assert parser(ChatCompletion).content('{"id": "é"}'.encode(encoding)) is UNPARSED


@pytest.mark.parametrize(
    "text", ['{"error": {"message": "x"}}', '{"id": "\\u0065rror"}', '{"\\u0065rror": 1}', '{"error": null}']
)
def test_an_event_that_may_report_an_error_is_left_to_the_sdk(text: str) -> None:
    """Whose loop raises."""
    assert parser(ChatCompletionChunk).event(text) is UNPARSED


def test_what_is_new_is_not_among_the_fields_that_are_set() -> None:
    """The SDK's own bookkeeping, which decides what `to_dict` shows."""
    chunk = parser(ChatCompletionChunk).event('{"id": "x", "choices": [{"delta": {"new": 1}}], "new": "abc"}')
    assert chunk.model_fields_set == {"id", "choices"}
    assert chunk.new == "abc"
    assert chunk.to_dict() == {"id": "x", "choices": [{"delta": {"new": 1}}], "new": "abc"}


class Several(openai.BaseModel):
    """Fields of several types, texts among them, as those of a `Response`."""

    word: str | None = None
    kind: Literal["a", "b"] | None = None
    number: Literal[1, "1"] | None = None
    whole: int | None = None
    flag: bool | str | None = None


@pytest.mark.parametrize("value", ["a", "other", "1", "", "\u00fc", 1, 1.0, True, 2**70, None, ["a"], {"a": 1}])
def test_a_field_of_several_types_gets_what_the_sdk_gives_it(value: object) -> None:
    """A text stays what it is, and so does what is none; where a number may stand, a text that is one becomes it."""
    for name in Several.model_fields:
        text = json.dumps({name: value})
        for found in ways(Several, text):
            assert seen(found) == by_sdk(Several, text)
    assert parser(Several).content(b'{"word": "1", "whole": "1"}').to_dict() == {"word": "1", "whole": 1}


class Odd(openai.BaseModel):
    """A model of which `construct` makes something of its own."""

    renamed: str = pydantic.Field(alias="re-named")


class Holder(openai.BaseModel):
    odd: Odd
    plain: str = "default"


@pytest.mark.parametrize("kind", [Odd, Holder, str, dict, SyncCursorPage[openai.types.Model]])
def test_types_that_no_schema_can_say_are_left_to_the_sdk(kind: Any) -> None:
    """Aliases, defaults, pages, and what is no model at all."""
    assert parser_of(kind) is None


class Around(openai.BaseModel):
    odd: Odd
    many: list[Odd]


@pytest.mark.parametrize(
    "text", ['{"odd": {"re-named": 1, "renamed": 2}, "many": [{"re-named": "x"}, null]}', '{"odd": 7}']
)
def test_a_part_that_no_schema_can_say_is_made_by_the_sdk(text: str) -> None:
    """The rest is parsed all the same."""
    for found in ways(Around, text):
        assert seen(found) == by_sdk(Around, text)
