"""The Responses API, as the SDK sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.responses import FunctionToolParam, ResponseFunctionToolCall
from pydantic import BaseModel

from llmstack.testing.local_server import REFUSAL_MARKER, TOOL_MARKER, LocalServer, count_tokens
from tests.testing.asking import MODEL, strict

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


class City(BaseModel):
    name: str


@pytest.fixture(scope="module")
def client() -> Iterator[OpenAI]:
    with LocalServer() as server, strict(server) as client:
        yield client


def test_the_response_repeats_the_input(client: OpenAI) -> None:
    """Text and usage follow the same rules as a chat's."""
    response = client.responses.create(model=MODEL, input="Good morning", instructions="Be brief.")
    assert response.output_text == "You said: Good morning"
    assert response.status == "completed"
    assert response.instructions == "Be brief."
    assert response.usage is not None
    assert response.usage.input_tokens == count_tokens("Be brief.") + count_tokens("Good morning") + 4
    assert response.usage.output_tokens == count_tokens("You said: Good morning")


def test_the_stream_has_every_event_in_order(client: OpenAI) -> None:
    """From created to completed, numbered without gaps."""
    events = list(client.responses.create(model=MODEL, input="Hi", stream=True))
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * count_tokens("You said: Hi"),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_the_stream_helper_accumulates(client: OpenAI) -> None:
    """The SDK's own bookkeeping of events accepts them."""
    with client.responses.stream(model=MODEL, input="Rome", text_format=City) as stream:
        final = stream.get_final_response()
    assert final.output_parsed == City(name="Rome")


def test_parse(client: OpenAI) -> None:
    """``text.format`` is satisfied."""
    assert client.responses.parse(model=MODEL, input="Rome", text_format=City).output_parsed == City(name="Rome")


def test_function_calls(client: OpenAI) -> None:
    """A call, its result, and an end in words."""
    response = client.responses.create(model=MODEL, input=f"{TOOL_MARKER} Rome", tools=[WEATHER])
    call = response.output[0]
    assert isinstance(call, ResponseFunctionToolCall)
    assert json.loads(call.arguments) == {"city": f"{TOOL_MARKER} Rome"}
    after = client.responses.create(
        model=MODEL,
        previous_response_id=response.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
        tools=[WEATHER],
    )
    assert after.output_text == "Tool said: sunny"
    assert after.previous_response_id == response.id


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_function_calls_stream(client: OpenAI, choice: Any) -> None:
    """Arguments arrive piecemeal."""
    with client.responses.stream(model=MODEL, input="Hi", tools=[WEATHER], tool_choice=choice) as stream:
        kinds = [event.type for event in stream]
        call = stream.get_final_response().output[0]
    assert kinds.count("response.function_call_arguments.delta") > 1
    assert isinstance(call, ResponseFunctionToolCall)
    assert call.arguments == '{"city": "Hi"}'


def test_a_limit_of_tokens_leaves_it_incomplete(client: OpenAI) -> None:
    """The status and the last event say so."""
    response = client.responses.create(model=MODEL, input="Hello there", max_output_tokens=2)
    assert (response.status, response.output_text) == ("incomplete", "You said")
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    *_, last = client.responses.create(model=MODEL, input="Hello there", max_output_tokens=2, stream=True)
    assert last.type == "response.incomplete"


def test_a_refusal_is_a_part_of_its_own(client: OpenAI) -> None:
    """With its own events."""
    response = client.responses.create(model=MODEL, input=REFUSAL_MARKER)
    assert response.output[0].type == "message"
    assert response.output[0].content[0].type == "refusal"
    kinds = {event.type for event in client.responses.create(model=MODEL, input=REFUSAL_MARKER, stream=True)}
    assert {"response.refusal.delta", "response.refusal.done"} <= kinds


def test_a_stored_response_can_be_retrieved_and_deleted(client: OpenAI) -> None:
    """Until it is deleted, or if it was not to be stored."""
    made = client.responses.create(model=MODEL, input="Keep")
    assert client.responses.retrieve(made.id) == made
    client.responses.delete(made.id)
    unstored = client.responses.create(model=MODEL, input="Forget", store=False)
    for response_id in (made.id, unstored.id):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(response_id)


def test_a_stream_resumes_where_it_was_left(client: OpenAI) -> None:
    """``starting_after`` gives the rest of the same events."""
    events = list(client.responses.create(model=MODEL, input="Hello there", stream=True))
    assert events[0].type == "response.created"
    rest = list(client.responses.retrieve(events[0].response.id, stream=True, starting_after=4))
    assert rest == events[5:]


def test_the_stream_helper_resumes(client: OpenAI) -> None:
    """The SDK asks for the whole stream again and hides what was seen."""
    made = client.responses.create(model=MODEL, input="Hello there")
    with client.responses.stream(response_id=made.id, starting_after=4) as stream:
        events = list(stream)
        assert stream.get_final_response().output_text == "You said: Hello there"
    assert events[0].sequence_number == 5


def test_background_responses_are_queued_first(client: OpenAI) -> None:
    """A later look finds them finished, or cancelled."""
    queued = client.responses.create(model=MODEL, input="Later", background=True)
    assert queued.status == "queued"
    assert client.responses.retrieve(queued.id).output_text == "You said: Later"
    other = client.responses.create(model=MODEL, input="Never", background=True)
    assert client.responses.cancel(other.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(client.responses.create(model=MODEL, input="Now").id)


def test_input_items_are_listed_page_by_page(client: OpenAI) -> None:
    """Newest first, as the API does."""
    given: Any = [{"role": "user", "content": text} for text in ("one", "two", "three")]
    made = client.responses.create(model=MODEL, input=given)
    texts = [item.to_dict()["content"] for item in client.responses.input_items.list(made.id, limit=1)]
    assert texts == [[{"type": "input_text", "text": text}] for text in ("three", "two", "one")]


def test_input_tokens_are_counted(client: OpenAI) -> None:
    """By the rule that usage follows."""
    assert client.responses.input_tokens.count(model=MODEL, input="Good morning").input_tokens == 3 + 4
