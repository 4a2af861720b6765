"""Validation under input that nobody expects: it passes, or it is refused, but nothing breaks."""

import contextlib
import enum
import json
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmstack import Call, OpenAI, Stack
from llmstack.errors import ValidationError
from llmstack.middleware import Validation
from llmstack.middleware._validation.prompt import Prompt
from llmstack.middleware._validation.shape import ENDPOINTS, shape_issues
from llmstack.middleware._validation.typed import shape_of
from llmstack.testing import ScriptedTransport

HI = {"role": "user", "content": "hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "x"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "id", "call_id", "tool_calls", "name"]), inner)
    ),
    max_leaves=12,
)


def client(script: Any = None, **options: Any) -> tuple[OpenAI, ScriptedTransport]:
    """A client that validates by OpenAI's rules, and what it sends."""
    transport = ScriptedTransport(script or [], default="ok")
    said: dict[str, Any] = {"api": "openai", **options}
    stack = Stack([Validation(**said)], transport=transport)
    return OpenAI(api_key="sk-test-not-a-key", stack=stack), transport


@pytest.mark.parametrize("path", ["/chat/completions", "/responses", "/embeddings", "/completions", "/moderations"])
@settings(max_examples=150)
@given(body=st.dictionaries(st.sampled_from(["messages", "input", "prompt", "tools", "n", "stop", "text"]), JSON))
def test_any_json_passes_or_is_refused(path, body):
    """Whatever shape it has."""
    asked, _ = client(personal="redact", secrets="redact")
    with contextlib.suppress(ValidationError):
        asked.post(path, body=body, cast_to=object)


PATHS = {
    "chat.completions": "/chat/completions",
    "responses": "/responses",
    "responses.input_tokens": "/responses/input_tokens",
    "embeddings": "/embeddings",
    "images.generations": "/images/generations",
    "audio.speech": "/audio/speech",
}
ODD = JSON | st.lists(st.dictionaries(st.sampled_from(["type", "role", "content", "call_id", "id", "function"]), JSON))


@pytest.mark.parametrize("endpoint", PATHS)
@settings(max_examples=50)
@given(data=st.data())
def test_no_parameter_breaks_the_check(endpoint, data):
    """Each that the check knows by name, with whatever in it."""
    known = [*shape_of(ENDPOINTS[endpoint].types).shapes, "model"]
    params = data.draw(st.dictionaries(st.sampled_from(known), ODD, max_size=6))
    call = Call(path=PATHS[endpoint], endpoint=endpoint, params=params)
    for issue in shape_issues(call, "block", strict=True):
        assert issue.message


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text('a"é\U0001f600\x00', max_size=9)
    | st.just((1, "x")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["role", "content", "é"]), inner),
)


@given(params=st.dictionaries(st.sampled_from(["messages", "input", "prompt", "tools", "text"]), ANY))
def test_the_quick_look_at_a_window_never_says_less_than_the_exact_one(params):
    """What it lets pass is not counted."""
    prompt = Prompt(Call(path="/chat/completions", endpoint="chat.completions", params={"model": "gpt-4", **params}))
    assert prompt.very_most_tokens >= prompt.most_tokens >= prompt.tokens.tokens


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 10**400},
        {"logit_bias": {"5": 10**400}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"$ref": "#/anyOf/²"}}}},
        {"messages": [HI, {"role": "user", "content": "version 1.1.1.\u0663"}]},
    ],
)
def test_odd_values_break_nothing(more):
    """Numbers that no float holds, digits that are none, references that lead nowhere."""
    asked, _ = client(personal="redact")
    body: Any = {"model": "m", "messages": [HI], **more}
    with contextlib.suppress(ValidationError):
        asked.post("/chat/completions", body=body, cast_to=object)


class Role(str, enum.Enum):  # noqa: UP042 - as older programs have them
    """A role as an enumeration."""

    ASSISTANT = "assistant"


class Message(pydantic.BaseModel):
    """A message of a program's own making."""

    role: str
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


@pytest.mark.parametrize(
    "calling",
    [{"role": Role.ASSISTANT, "tool_calls": [CALL]}, Message(role="assistant", tool_calls=[CALL])],
    ids=["enum", "pydantic"],
)
def test_a_call_is_known_however_its_message_was_made(calling):
    """Its result is not refused for it."""
    asked, transport = client()
    body: Any = {"model": "m", "messages": [HI, calling, RESULT]}
    asked.post("/chat/completions", body=body, cast_to=object)
    assert len(transport.calls) == 1


def test_a_reference_to_an_item_may_stand_for_a_call():
    """Also without its type, which the SDK does not ask for."""
    asked, transport = client()
    given: Any = [{"id": "fc_1"}, {"type": "function_call_output", "call_id": "c", "output": "42"}]
    asked.responses.create(model="m", input=given)
    assert len(transport.calls) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/responses",
            {"prompt": {"id": "p", "variables": {"name": "jane@example.com", "customer_id": "x@example.com"}}},
        ),
        ("/conversations", {"items": [{"role": "user", "content": "jane@example.com x@example.com"}]}),
        ("/threads/t/runs/r/submit_tool_outputs", {"tool_outputs": [{"output": "jane@example.com x@example.com"}]}),
        ("/chat/completions", {"messages": [Message(role="user", content="jane@example.com x@example.com")]}),
        ("/responses", {"input": [1, "jane@example.com", "x@example.com"]}),
    ],
)
def test_no_place_that_the_model_reads_is_passed_over(path, body):
    """What is to be redacted does not go out."""
    asked, transport = client(personal="redact", shape="off")
    asked.post(path, body=body, cast_to=object)
    sent = json.dumps(transport.calls[0].params, default=str)
    assert "example.com" not in sent
    assert sent.count("EMAIL_") == 2


def test_one_placeholder_has_one_meaning_where_the_provider_keeps_the_turns():
    """Two people in one thread are not one."""
    asked, transport = client(personal="redact")
    for who in ("jane@example.com", "bob@example.com"):
        asked.post("/threads/t/messages", body={"role": "user", "content": who}, cast_to=object)
    first, second = (call.params["content"] for call in transport.calls)
    assert first != second


@pytest.mark.parametrize("number", ["1e400", "1" * 400])
def test_an_answer_with_a_number_too_large_to_check_does_not_fit(number):
    """It does not break the call that was paid for."""
    schema = {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 0.01}}}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    asked, transport = client([f'{{"a": {number}}}', '{"a": 1}'], answers="warn", repair=1)
    messages: Any = [HI]
    answer = asked.chat.completions.create(model="m", messages=messages, response_format=wanted)
    assert answer.choices[0].message.content == '{"a": 1}'
    assert len(transport.calls) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"max_prompt_characters": 10},
        {"max_prompt_bytes": 10},
        {"max_prompt_tokens": 10},
        {"context_window": "block", "context_windows": {"m": 10}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_message_that_is_a_model_of_pydantic_counts(options):
    """In a body of the program's own the SDK leaves it for its encoder."""
    asked, transport = client(**options)
    body: Any = {"model": "m", "messages": [Message(role="user", content="one two three four five " * 10)]}
    with pytest.raises(ValidationError):
        asked.post("/chat/completions", body=body, cast_to=object)
    assert transport.calls == []
