"""Chat and legacy completions as streams: the same reply again, valid chunks, and accepted by the SDK."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmstack._wire.assembly import assembly
from llmstack._wire.replay import replay
from llmstack._wire.sse import ServerSentEvent, encode

ASKED = {"stream_options": {"include_usage": True}}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
TOKENS = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]


def message(**fields: Any) -> dict[str, Any]:
    """A message in normal form."""
    return {"role": "assistant", "content": None, "refusal": None, **fields}


def completion(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A chat completion."""
    whole = [{"index": at, "logprobs": None, "finish_reason": "stop", **choice} for at, choice in enumerate(choices)]
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt-5-mini", "choices": whole,
        "usage": USAGE, "service_tier": "default", "system_fingerprint": None, **more,
    }  # fmt: skip


def call(at: int, name: str, arguments: str) -> dict[str, Any]:
    """A tool call."""
    return {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": arguments}}


BODIES = {
    "plain": completion({"message": message(content="Hello \u20ac \U0001f600!")}),
    "empty": completion({"message": message(content="")}),
    "tools": completion(
        {"message": message(tool_calls=[call(0, "f", '{"a": 1}'), call(1, "g", "")]), "finish_reason": "tool_calls"}
    ),
    "said and called": completion({"message": message(content="Let me see.", tool_calls=[call(0, "f", "{}")])}),
    "refusal": completion({"message": message(refusal="I'm sorry")}),
    "logprobs": completion({"message": message(content="a"), "logprobs": {"content": TOKENS, "refusal": None}}),
    "refusal logprobs": completion({"message": message(refusal="a"), "logprobs": {"content": None, "refusal": TOKENS}}),
    "logprobs alone": completion({"message": message(content=""), "logprobs": {"content": [], "refusal": None}}),
    "n=3": completion(*({"message": message(content=text)} for text in ("one", "two", "three"))),
    "audio": completion({
        "message": message(audio={"id": "a", "data": "AAAABBBB", "expires_at": 1700003600, "transcript": "Hi you"})
    }),
    "function": completion({"message": message(function_call={"name": "f", "arguments": '{"a": 1}'})}),
    "annotations": completion({
        "message": message(content="x", annotations=[{"type": "url_citation", "url_citation": {
            "start_index": 0, "end_index": 1, "title": "t", "url": "u"}}])
    }),
    "others": completion(
        {"message": message(content="x", reasoning_content="hmm", details={"a": [1]}),
         "content_filter_results": {"hate": {}}},
        prompt_filter_results=[{"prompt_index": 0}], citations=["u"],
    ),
    "nothing": completion(),
}  # fmt: skip


def again(endpoint: str, events: list[ServerSentEvent], choices: int = 1) -> Any:
    """The reply that the events make, and that they end as they should."""
    seen = assembly(endpoint, choices=choices)
    for event in events:
        assert seen.note(event) is None
    assert seen.complete()
    return seen.body()


@pytest.mark.parametrize("piece", [0, 1, 3])
@pytest.mark.parametrize("name", BODIES)
def test_the_reply_comes_back(name: str, piece: int) -> None:
    """Assembling the replayed events gives the body; every chunk is of the SDK's type; [DONE] is last."""
    body = BODIES[name]
    ChatCompletion.model_validate(body)
    events = replay("chat.completions", body, ASKED, piece=piece)
    assert again("chat.completions", events, len(body["choices"])) == body
    assert events[-1].data == "[DONE]"
    for event in events[:-1]:
        assert event.event is None
        ChatCompletionChunk.model_validate(event.json())
    without = {key: value for key, value in body.items() if key != "usage"}
    assert again("chat.completions", replay("chat.completions", body, {}, piece=piece), len(body["choices"])) == without


def test_the_chunks_of_an_answer() -> None:
    """One by one."""
    body = {**BODIES["plain"], "choices": [{**BODIES["plain"]["choices"][0], "message": message(content="Hello")}]}
    head = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-5-mini",
        "service_tier": "default", "system_fingerprint": None,
    }  # fmt: skip

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            **head,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
            "usage": None,
        }

    assert [event.json() for event in replay("chat.completions", body, ASKED, piece=3)[:-1]] == [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        {**head, "choices": [], "usage": USAGE},
    ]
    for params in ({}, {"stream_options": None}, {"stream_options": {"include_usage": False}}, {"stream_options": "x"}):
        assert all("usage" not in event.data for event in replay("chat.completions", body, params))


def test_what_cannot_be_replayed() -> None:
    """Other endpoints are refused."""
    with pytest.raises(ValueError, match="'embeddings' cannot be replayed"):
        replay("embeddings", {}, {})


def client(endpoint: str, body: dict[str, Any], params: dict[str, Any], piece: int = 0) -> OpenAI:
    """A client whose server streams the replayed reply."""
    text = b"".join(encode(event) for event in replay(endpoint, body, params, piece=piece))
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=text, headers=headers))
    return OpenAI(api_key="x", http_client=httpx2.Client(transport=transport), max_retries=0)


@pytest.mark.parametrize("piece", [0, 2])
@pytest.mark.parametrize("name", BODIES)
def test_the_sdks_own_stream_accepts_it(name: str, piece: int) -> None:
    """`chat.completions.stream()` gathers the same answer."""
    body = BODIES[name]
    with client("chat.completions", body, ASKED, piece).chat.completions.stream(
        model="gpt-5-mini", messages=[{"role": "user", "content": "x"}]
    ) as stream:
        final = stream.get_final_completion()
    assert final.usage is not None
    assert final.usage.total_tokens == 12
    for choice, want in zip(final.choices, body["choices"], strict=True):
        assert choice.finish_reason == want["finish_reason"]
        assert choice.message.content == want["message"]["content"]
        assert choice.message.refusal == want["message"]["refusal"]
        calls = [(each.id, each.function.name, each.function.arguments) for each in choice.message.tool_calls or []]
        wanted = want["message"].get("tool_calls", [])
        assert calls == [(each["id"], each["function"]["name"], each["function"]["arguments"]) for each in wanted]


def test_the_sdks_plain_stream_accepts_it() -> None:
    """`create(stream=True)`, chat and legacy."""
    made = client("chat.completions", BODIES["n=3"], {}, 2).chat.completions.create(model="x", messages=[], stream=True)
    texts = ["", "", ""]
    for chunk in made:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == ["one", "two", "three"]
    legacy = client("completions", LEGACY, {}, 2).completions.create(model="x", prompt="", stream=True)
    assert "".join(chunk.choices[0].text for chunk in legacy if chunk.choices[0].index == 0) == "Hello"


LEGACY = {
    "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "usage": USAGE,
    "choices": [
        {"text": "Hello", "index": 0, "finish_reason": "stop", "logprobs": {
            "tokens": ["Hello"], "token_logprobs": [-1.0], "top_logprobs": [{"Hello": -1.0}], "text_offset": [0]}},
        {"text": "", "index": 1, "finish_reason": "length", "logprobs": None},
    ],
}  # fmt: skip


@pytest.mark.parametrize("piece", [0, 2])
def test_legacy_completions(piece: int) -> None:
    """The reply comes back; in one piece every chunk is of the SDK's type, whose finish_reason may not be null."""
    events = replay("completions", LEGACY, ASKED, piece=piece)
    assert again("completions", events, 2) == LEGACY
    assert events[-1].data == "[DONE]"
    if piece == 0:
        for event in events[:-1]:
            Completion.model_validate(event.json())


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
fields = st.fixed_dictionaries({}, optional={
    "refusal": text,
    "reasoning_content": text,
    "function_call": st.fixed_dictionaries({"name": text, "arguments": st.text(max_size=9)}),
    "tool_calls": st.lists(st.builds(call, st.integers(0, 9), text, st.text(max_size=9)), min_size=1, max_size=3),
    "audio": st.fixed_dictionaries({"id": text, "data": text, "expires_at": st.integers(), "transcript": st.just("")}),
})  # fmt: skip
messages = st.builds(lambda content, more: message(**{"content": content, **more}), st.none() | text, fields)
choices = st.builds(
    lambda message, finish, logprobs: {"message": message, "finish_reason": finish, "logprobs": logprobs},
    messages,
    st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    st.none() | st.builds(lambda c, r: {"content": c, "refusal": r}, *[st.none() | st.just(TOKENS * 3)] * 2),
)


@given(st.lists(choices, max_size=3), st.integers(0, 5))
def test_any_reply_comes_back(found: list[dict[str, Any]], piece: int) -> None:
    """Whatever the messages hold."""
    body = completion(*found)
    ChatCompletion.model_validate(body)
    events = replay("chat.completions", body, ASKED, piece=piece)
    assert again("chat.completions", events, len(found)) == body
    for event in events[:-1]:
        ChatCompletionChunk.model_validate(event.json())


KEYS = """
    choices message index tool_calls function audio content output type arguments status summary text refusal
""".split()  # noqa: SIM905 - legible
odd = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)


@given(odd, st.sampled_from(["chat.completions", "completions", "responses"]))
def test_odd_bodies_raise_nothing_else(value: Any, endpoint: str) -> None:
    """Whatever was kept as a reply: events, or the one refusal."""
    body = value if isinstance(value, dict) else {"choices": value, "output": value}
    try:
        events = replay(endpoint, body, ASKED)
    except ValueError:
        assert endpoint == "responses"
        return
    for event in events[:-1]:
        event.json()
