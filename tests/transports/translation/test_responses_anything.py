"""Whatever a program asks and whatever a server answers: a translation never fails on it."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from llmstack._wire.jsontext import write
from llmstack.transports._translation.responses_events import ResponseEvents
from llmstack.transports._translation.responses_reply import response_body
from llmstack.transports._translation.responses_request import ChatStyle, chat_params
from llmstack.transports._translation.untranslatable import Losses
from tests.transports.translation.responses_completions import PARAMS

WORDS = [
    "function", "custom", "allowed_tools", "message", "function_call", "function_call_output", "custom_tool_call",
    "reasoning", "input_text", "input_image", "input_file", "output_text", "refusal", "user", "assistant", "stop",
    "length", "error", "json_schema", "text", "required", "auto", "grammar", "url_citation", "reasoning_text",
]  # fmt: skip
FIELDS = [
    "type", "role", "content", "text", "name", "call_id", "output", "input", "arguments", "function", "custom", "tools",
    "format", "message", "delta", "choices", "tool_calls", "finish_reason", "index", "id", "usage", "prompt_tokens",
    "prompt_tokens_details", "logprobs", "top_logprobs", "annotations", "url_citation", "reasoning", "refusal", "model",
    "error", "created",
]  # fmt: skip

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=15,
)
MANY = max(settings().max_examples, 400)
PARAMETERS = [
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "stream_options",
    "stream",
]


@settings(max_examples=MANY)
@given(st.dictionaries(st.sampled_from([*PARAMETERS, "truncation", "top_logprobs", "n"]), json_values, max_size=6))
def test_any_request(params: dict[str, Any]) -> None:
    """It is translated, or refused by name; what comes of it is JSON."""
    losses = Losses()
    style = ChatStyle(reasoning_field="reasoning")
    write(chat_params(params, losses, style))


@settings(max_examples=MANY)
@given(json_values, json_values)
def test_any_answer(value: Any, choice: Any) -> None:
    """It is a response, of nothing if there is nothing in it."""
    for body in (
        value if isinstance(value, dict) else {"choices": value},
        {"choices": [choice]},
        {"choices": [{"message": value}]},
    ):
        response = response_body(body, PARAMS)
        assert isinstance(response["output"], list)
        write(response)


@settings(max_examples=MANY)
@given(st.lists(json_values, max_size=4), st.booleans())
def test_any_stream(values: list[Any], finished: bool) -> None:  # noqa: FBT001
    """It is a stream of events, numbered from 0, that ends if the server said so."""
    translator = ResponseEvents(PARAMS)
    chunks: list[Any] = [value if isinstance(value, dict) else {"choices": [{"delta": value}]} for value in values]
    chunks += [{"choices": [{"delta": {"tool_calls": [value]}}]} for value in values]
    if finished:
        chunks.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    events = [event for chunk in chunks for event in translator.feed(chunk)] + translator.end()
    write(events)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert not finished or translator.response is not None
