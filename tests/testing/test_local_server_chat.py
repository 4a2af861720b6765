"""Chat completions and legacy completions, as the SDK sees them. Every answer is validated strictly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from llmstack.testing.local_server import (
    CREATED,
    MISSING_MODEL,
    REFUSAL_MARKER,
    TOOL_MARKER,
    LocalServer,
    count_tokens,
    reply_to,
)
from tests.testing.asking import MODEL, strict

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionToolParam


class City(BaseModel):
    name: str
    inhabitants: int
    districts: list[str]


WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[OpenAI]:
    with strict(server) as client:
        yield client


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_the_reply_repeats_the_last_message(client: OpenAI) -> None:
    """The text depends on the request, the usage on the text."""
    completion = client.chat.completions.create(
        model=MODEL, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Good morning"}]
    )
    assert completion.choices[0].message.content == reply_to("Good morning") == "You said: Good morning"
    assert completion.choices[0].finish_reason == "stop"
    assert (completion.model, completion.created) == (MODEL, CREATED)
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == count_tokens("Be brief.") + count_tokens("Good morning") + 2 * 4
    assert completion.usage.completion_tokens == count_tokens("You said: Good morning")
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_the_text_parts_of_a_message_count(client: OpenAI) -> None:
    """A message may be a list of parts; pictures say nothing."""
    parts: Any = [{"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {"url": "https://a/b.png"}}]
    completion = client.chat.completions.create(model=MODEL, messages=user([*parts, {"type": "text", "text": "it?"}]))  # type: ignore[arg-type]
    assert completion.choices[0].message.content == "You said: What is it?"


def test_several_choices_differ(client: OpenAI) -> None:
    """``n`` choices can be told apart."""
    completion = client.chat.completions.create(model=MODEL, messages=user("Hi"), n=3)
    contents = [choice.message.content for choice in completion.choices]
    assert contents == ["You said: Hi", "You said: Hi (2)", "You said: Hi (3)"]


def test_a_stream_carries_the_same_reply(client: OpenAI) -> None:
    """One token a chunk, the finish reason last, no usage unless asked for."""
    chunks = list(client.chat.completions.create(model=MODEL, messages=user("Hi there"), stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == "You said: Hi there"
    assert len(pieces) == 1 + count_tokens("You said: Hi there") + 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_in_a_chunk_of_its_own(client: OpenAI) -> None:
    """``include_usage`` adds a last chunk without choices."""
    stream = client.chat.completions.create(
        model=MODEL, messages=user("Hi"), stream=True, stream_options={"include_usage": True}, n=2
    )
    *_, last = stream
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == count_tokens("You said: Hi") + count_tokens("You said: Hi (2)")


def test_a_limit_of_tokens_cuts_the_reply(client: OpenAI) -> None:
    """The reply ends after so many tokens, for the reason ``length``."""
    completion = client.chat.completions.create(model=MODEL, messages=user("Hello there"), max_tokens=2)
    assert completion.choices[0].message.content == "You said"
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 2


def test_logprobs_cover_every_token(client: OpenAI) -> None:
    """Each token has a probability and as many alternatives as asked for."""
    completion = client.chat.completions.create(model=MODEL, messages=user("Hi"), logprobs=True, top_logprobs=2)
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(entry.token for entry in logprobs.content) == "You said: Hi"
    assert {len(entry.top_logprobs) for entry in logprobs.content} == {2}


def test_the_marker_calls_a_tool(client: OpenAI) -> None:
    """Arguments satisfy the tool's parameters; without the marker nothing is called."""
    spoken = client.chat.completions.create(model=MODEL, messages=user("Hi"), tools=[WEATHER])
    assert spoken.choices[0].finish_reason == "stop"
    completion = client.chat.completions.create(model=MODEL, messages=user(f"{TOOL_MARKER} Rome"), tools=[WEATHER])
    assert completion.choices[0].finish_reason == "tool_calls"
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert json.loads(calls[0].function.arguments) == {"city": f"{TOOL_MARKER} Rome", "days": 1}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_tool_choice_demands_a_call(client: OpenAI, choice: Any) -> None:
    """``required`` and a named function need no marker."""
    completion = client.chat.completions.create(model=MODEL, messages=user("Hi"), tools=[WEATHER], tool_choice=choice)
    assert completion.choices[0].finish_reason == "tool_calls"


def test_the_marker_twice_makes_two_calls(client: OpenAI) -> None:
    """Parallel calls, streamed and put together by the SDK's helper."""
    with client.chat.completions.stream(
        model=MODEL, messages=user(f"{TOOL_MARKER} {TOOL_MARKER}"), tools=[WEATHER]
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls is not None
    assert [call.function.name for call in message.tool_calls] == ["weather", "weather"]
    assert len({call.id for call in message.tool_calls}) == 2


def test_a_tools_result_is_answered_in_words(client: OpenAI) -> None:
    """A conversation of tools comes to an end."""
    called = client.chat.completions.create(model=MODEL, messages=user(TOOL_MARKER), tools=[WEATHER]).choices[0].message
    assert called.tool_calls is not None
    history: list[Any] = [*user(TOOL_MARKER), called.model_dump(exclude_none=True)]
    history.append({"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "sunny"})
    completion = client.chat.completions.create(model=MODEL, messages=history, tools=[WEATHER])
    assert completion.choices[0].message.content == "Tool said: sunny"


def test_structured_output_parses(client: OpenAI) -> None:
    """``parse`` gets an instance of its model."""
    completion = client.chat.completions.parse(model=MODEL, messages=user("Rome"), response_format=City)
    assert completion.choices[0].message.parsed == City(name="Rome", inhabitants=1, districts=["Rome"])


def test_structured_output_streams(client: OpenAI) -> None:
    """The streaming helper parses at the end."""
    with client.chat.completions.stream(model=MODEL, messages=user("Rome"), response_format=City) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert parsed is not None
    assert parsed.name == "Rome"


def test_parse_raises_on_a_cut_reply(client: OpenAI) -> None:
    """Cut structured output is the SDK's own error."""
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model=MODEL, messages=user("Rome"), response_format=City, max_tokens=1)


def test_json_mode_answers_with_an_object(client: OpenAI) -> None:
    """``json_object`` needs no schema."""
    completion = client.chat.completions.create(
        model=MODEL, messages=user("Rome"), response_format={"type": "json_object"}
    )
    assert json.loads(completion.choices[0].message.content or "") == {"answer": "Rome"}


def test_the_marker_refuses(client: OpenAI) -> None:
    """A refusal has no content, streamed or not."""
    completion = client.chat.completions.create(model=MODEL, messages=user(REFUSAL_MARKER))
    assert completion.choices[0].message.content is None
    assert completion.choices[0].message.refusal
    with client.chat.completions.stream(model=MODEL, messages=user(REFUSAL_MARKER)) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.refusal == completion.choices[0].message.refusal


def test_stored_completions_can_be_read_back(client: OpenAI) -> None:
    """With ``store`` a completion is listed, changed and deleted."""
    made = client.chat.completions.create(model=MODEL, messages=user("Keep"), store=True, metadata={"a": "1"})
    assert client.chat.completions.retrieve(made.id).choices == made.choices
    assert made.id in [kept.id for kept in client.chat.completions.list()]
    client.chat.completions.update(made.id, metadata={"a": "2"})
    assert client.chat.completions.retrieve(made.id).metadata == {"a": "2"}
    lenient = client.copy(_extra_kwargs={"_strict_response_validation": False})  # the type knows assistants only
    assert [message.content for message in lenient.chat.completions.messages.list(made.id)] == ["Keep"]
    assert client.chat.completions.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(made.id)


def test_the_missing_model_is_not_found(client: OpenAI) -> None:
    """The one name that fails has the API's code."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=MISSING_MODEL, messages=user("Hi"))
    assert caught.value.code == "model_not_found"


def test_a_request_without_messages_is_refused(client: OpenAI) -> None:
    """A bad request names the parameter."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[])
    assert caught.value.param == "messages"


def test_no_key_no_answer(server: LocalServer) -> None:
    """Without an Authorization header: 401."""
    with (
        OpenAI(base_url=server.base_url, api_key="x", default_headers={"Authorization": ""}) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def test_every_answer_has_the_usual_headers(client: OpenAI) -> None:
    """Request ids are unique, limits are stated."""
    seen = [client.chat.completions.with_raw_response.create(model=MODEL, messages=user("Hi")) for _ in range(2)]
    first, second = (raw.headers for raw in seen)
    assert first["x-request-id"].startswith("req_")
    assert first["x-request-id"] != second["x-request-id"]
    for kind in ("requests", "tokens"):
        remaining = (int(headers[f"x-ratelimit-remaining-{kind}"]) for headers in (first, second))
        assert int(first[f"x-ratelimit-limit-{kind}"]) > next(remaining) > next(remaining)
        assert first[f"x-ratelimit-reset-{kind}"]
    assert {"openai-processing-ms", "openai-version", "openai-organization", "date"} <= first.keys()


def test_legacy_completions(client: OpenAI) -> None:
    """Several prompts, several choices."""
    completion = client.completions.create(model=MODEL, prompt=["one", "two"], n=2)
    said = ["You said: one", "You said: one (2)", "You said: two", "You said: two (2)"]
    assert [choice.text for choice in completion.choices] == said
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 2


def test_legacy_completions_stream(client: OpenAI) -> None:
    """Streamed, cut, with usage. Not validated: the types demand a finish reason of every chunk."""
    lenient = client.copy(_extra_kwargs={"_strict_response_validation": False})
    stream = lenient.completions.create(
        model=MODEL, prompt="Hello there", stream=True, max_tokens=2, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "You said"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2
