"""Chat completions from their chunks: against the SDK's own accumulation, and against the answer that was split."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmstack._wire.assembly import Assembly, assembly
from llmstack._wire.sse import ServerSentEvent

DONE = ServerSentEvent(data="[DONE]")
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def chunk(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A chunk as OpenAI sends it."""
    return {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-5-mini-2026",
        "service_tier": "default", "system_fingerprint": "fp_1", "choices": list(choices), "obfuscation": "x", **more,
    }  # fmt: skip


def choice(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A choice of a chunk."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, **more}


def token(text: str) -> dict[str, Any]:
    """The logprob of a token."""
    return {"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": []}


def call(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    """A piece of a tool call."""
    function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
    return choice({"tool_calls": [{"index": index, **more, "function": function}]})


ROLE = {"role": "assistant", "content": "", "refusal": None}
STREAMS: dict[str, list[dict[str, Any]]] = {
    "plain": [
        chunk(choice(ROLE), usage=None),
        chunk(choice({"content": "Hel"}), usage=None),
        chunk(choice({"content": "lo \u20ac"}), usage=None),
        chunk(choice({}, "stop"), usage=None),
        chunk(usage=USAGE),
    ],
    "tools": [
        chunk(choice({"role": "assistant", "content": None})),
        chunk(call(0, "", id="call_a", type="function", name="weather")),
        chunk(call(0, '{"city":')),
        chunk(call(0, '"Paris"}')),
        chunk(call(1, "", id="call_b", type="function", name="time")),
        chunk(call(1, '{"zone": "\u20ac"}')),
        chunk(choice({}, "tool_calls")),
        chunk(usage=USAGE),
    ],
    "refusal": [
        chunk(choice(ROLE)),
        chunk(choice({"refusal": "I'm"})),
        chunk(choice({"refusal": " sorry"})),
        chunk(choice({}, "stop")),
    ],
    "logprobs": [
        chunk(choice(ROLE)),
        chunk(choice({"content": "a"}, logprobs={"content": [token("a")], "refusal": None})),
        chunk(choice({"content": "bc"}, logprobs={"content": [token("b"), token("c")], "refusal": None})),
        chunk(choice({}, "length")),
    ],
    "n=2": [
        chunk(choice(ROLE), choice(ROLE, index=1)),
        chunk(choice({"content": "one"})),
        chunk(choice({"content": "two"}, index=1)),
        chunk(choice({"content": "!"})),
        chunk(choice({}, "stop")),
        chunk(choice({}, "content_filter", index=1)),
        chunk(usage=USAGE),
    ],
    "audio": [
        chunk(choice({**ROLE, "content": None})),
        chunk(choice({"audio": {"id": "audio_1", "transcript": "Hi"}})),
        chunk(choice({"audio": {"data": "AAAA"}})),
        chunk(choice({"audio": {"transcript": " you"}})),
        chunk(choice({"audio": {"data": "BBBB"}})),
        chunk(choice({"audio": {"expires_at": 1700003600}})),
        chunk(choice({}, "stop")),
    ],
    "function": [
        chunk(choice({**ROLE, "content": None, "function_call": {"name": "f", "arguments": ""}})),
        chunk(choice({"function_call": {"arguments": '{"a"'}})),
        chunk(choice({"function_call": {"arguments": ": 1}"}})),
        chunk(choice({}, "function_call")),
    ],
}


def fed(chunks: list[dict[str, Any]], *, done: bool = True, **options: Any) -> Assembly:
    """An assembly that has seen these chunks."""
    seen = assembly("chat.completions", **options)
    for value in chunks:
        assert seen.note(ServerSentEvent(data=json.dumps(value))) is None
    if done:
        seen.note(DONE)
    return seen


def plain(value: Any) -> Any:
    """Leave out nulls, empty lists, and what is known to differ between the SDK's snapshot and a plain answer."""
    if isinstance(value, dict):
        known = ("parsed", "parsed_arguments", "obfuscation")
        items = {key: plain(item) for key, item in value.items() if key not in known}
        if "message" in items:
            items["message"] = {"content": None, **items["message"]}
            for each in items["message"].get("tool_calls", ()):
                each.pop("index", None)
            if items["message"]["content"] == "" and len(items["message"]) > 2:
                items["message"]["content"] = None
        return {key: item for key, item in items.items() if item not in (None, [])}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", STREAMS)
def test_equal_to_the_sdks_snapshot(name: str) -> None:
    """What ChatCompletionStreamState gathers is what we gather."""
    state = ChatCompletionStreamState()
    for value in STREAMS[name]:
        state.handle_chunk(ChatCompletionChunk.model_validate(value))
    body = fed(STREAMS[name]).body()
    assert body is not None
    snapshot = state.current_completion_snapshot.to_dict(exclude_unset=False)
    assert plain(body) == plain(snapshot)
    ChatCompletion.model_validate(body)
    assert ChatCompletion.model_validate(body).to_dict() == body


@pytest.mark.parametrize("name", STREAMS)
def test_cut_at_each_position(name: str) -> None:
    """No exception; complete exactly when every choice has its finish_reason."""
    chunks = STREAMS[name]
    count = 2 if name == "n=2" else 1
    for cut in range(len(chunks) + 1):
        seen = fed(chunks[:cut], done=False, choices=count)
        finished = {c["index"] for value in chunks[:cut] for c in value["choices"] if c["finish_reason"]}
        assert seen.complete() == (len(finished) == count)
        assert (seen.body() is None) == (cut == 0)
        assert seen.done is False
        assert [event.json() for event in seen.events()] == chunks[:cut]


def test_the_plain_answer() -> None:
    """The whole of one, key by key."""
    seen = fed(STREAMS["tools"])
    assert seen.complete()
    assert seen.done
    assert seen.usage() == USAGE
    assert seen.body() is seen.body()
    assert seen.body() == {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt-5-mini-2026",
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": None, "refusal": None,
                "tool_calls": [
                    {"id": "call_a", "type": "function",
                     "function": {"name": "weather", "arguments": '{"city":"Paris"}'}},
                    {"id": "call_b", "type": "function",
                     "function": {"name": "time", "arguments": '{"zone": "\u20ac"}'}},
                ],
            },
            "logprobs": None, "finish_reason": "tool_calls",
        }],
        "service_tier": "default", "system_fingerprint": "fp_1", "usage": USAGE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (chunk(choice(ROLE)), False),
        (chunk(choice({"role": "assistant"})), False),
        (chunk(choice({"content": ""})), False),
        (chunk(choice({})), False),
        (chunk(), False),
        (chunk(prompt_filter_results=[{"prompt_index": 0}]), False),
        (chunk(usage=USAGE), False),
        ({"choices": None}, False),
        ({"choices": [None, 1, {"delta": None}, {"delta": [1]}]}, False),
        (chunk(choice({"content": "x"})), True),
        (chunk(choice({"refusal": "x"})), True),
        (chunk(choice({"reasoning_content": "x"})), True),
        (chunk(choice({"tool_calls": [{"index": 0}]})), True),
        (chunk(choice({"tool_calls": []})), False),
        (chunk(choice({"function_call": {"name": "f"}})), True),
        (chunk(choice({"audio": {"id": "a"}})), True),
        (chunk(choice({"whatever": [1]})), True),
        (chunk(choice({}, "stop")), True),
        (chunk(choice(ROLE), choice({"content": "x"}, index=1)), True),
    ],
)
def test_content(value: dict[str, Any], *, content: bool) -> None:
    """Which chunks carry content."""
    seen = fed([value], done=False)
    assert seen.content is content


@pytest.mark.parametrize(
    "data", ["", "{", "nonsense", '{"a": "\ud800"', "[" * 100_000, '{"a":' * 5000, "1e999999", "null"]
)
@pytest.mark.parametrize("place", [0, 1, 3, 5])
def test_malformed_events(data: str, place: int) -> None:
    """They raise nothing, and the reply is not complete (if they are not JSON); the rest is still put together."""
    seen = assembly("chat.completions")
    events = [ServerSentEvent(data=json.dumps(value)) for value in STREAMS["plain"]]
    events.insert(place, ServerSentEvent(data=data))
    for event in events:
        assert seen.note(event) is None
    body = seen.body()
    assert body is not None
    assert body["choices"][0]["message"]["content"] == "Hello \u20ac"
    assert seen.complete() is (data in ("1e999999", "null"))
    assert seen.usage() == USAGE


@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize("error", [{"message": "m", "code": "c"}, "overloaded", ["x"], 1, True])
def test_error_events(error: object, after: int) -> None:
    """The value of "error" is returned wherever it comes; the reply is not complete."""
    seen = fed(STREAMS["plain"][:after], done=False)
    assert seen.note(ServerSentEvent(data=json.dumps({"error": error, "choices": []}))) == error
    for value in STREAMS["plain"][after:]:
        seen.note(ServerSentEvent(data=json.dumps(value)))
    assert not seen.complete()
    assert "error" not in (seen.body() or {})


@pytest.mark.parametrize("error", [None, "", {}, [], 0, False])
def test_falsy_errors_are_none(error: object) -> None:
    """As for the SDK, an empty error is not one."""
    seen = fed(STREAMS["plain"][:2], done=False)
    assert seen.note(ServerSentEvent(data=json.dumps({**chunk(choice({"content": "x"})), "error": error}))) is None
    assert seen.note(ServerSentEvent(data=json.dumps(chunk(choice({"content": '{"error": 1, "usage": {}}'}))))) is None
    assert seen.note(ServerSentEvent(data=json.dumps(chunk(choice({"content": "error"}, "stop"))))) is None
    assert seen.complete()
    assert seen.usage() is None


def test_nothing_counts_after_done() -> None:
    """The SDK stops reading at [DONE]; so do we."""
    seen = fed(STREAMS["plain"])
    count = len(seen.events())
    assert seen.note(ServerSentEvent(data='{"error": "x"}')) is None
    assert seen.note(ServerSentEvent(data="{")) is None
    assert len(seen.events()) == count
    assert seen.complete()


def test_beyond_the_limit() -> None:
    """The events are let go; flags, usage and completeness stay right."""
    for limit in (0, 600, 1500):
        seen = fed(STREAMS["n=2"], limit=limit, choices=2)
        assert seen.body() is None
        assert list(seen.events()) == []
        assert seen.content
        assert seen.done
        assert seen.usage() == USAGE
        assert seen.complete()
        assert not fed(STREAMS["n=2"][:5], limit=limit, choices=2).complete()
        broken = fed(STREAMS["n=2"], limit=limit, choices=2, done=False)
        broken.note(ServerSentEvent(data="{"))
        assert not broken.complete()


def test_azure() -> None:
    """A prompt filter chunk without identity first, filter results with the choices."""
    first = {
        "id": "",
        "object": "",
        "created": 0,
        "model": "",
        "choices": [],
        "prompt_filter_results": [{"prompt_index": 0}],
    }
    hate, violence = {"hate": {"filtered": False}}, {"violence": {"filtered": False}}
    body = fed([
        first,
        chunk(choice(ROLE)),
        chunk(choice({"content": "x"}, content_filter_results=hate)),
        chunk(choice({}, "stop", content_filter_results=violence)),
        chunk(choice({}, content_filter_offsets={"start": 1}), id="", created=0, model="", object=""),
    ]).body()  # fmt: skip
    assert body is not None
    assert (body["id"], body["created"], body["model"]) == ("chatcmpl-1", 1700000000, "gpt-5-mini-2026")
    assert body["prompt_filter_results"] == [{"prompt_index": 0}]
    assert body["choices"][0]["content_filter_results"] == {**hate, **violence}
    assert body["choices"][0]["finish_reason"] == "stop"


def test_what_other_servers_send() -> None:
    """Ids repeated in every piece, no index, empty lists, reasoning, indexed details, usage in every chunk."""
    role = {"role": "assistant"}
    body = fed([
        chunk(choice({**role, "reasoning_content": "hm", "tool_calls": [], "details": [{"index": 0, "t": "a"}]})),
        chunk(choice({**role, "reasoning_content": "m", "details": [{"index": 0, "t": "b"}, {"index": 1}]})),
        chunk(choice({"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}]})),
        chunk(choice({"tool_calls": [{"id": "a", "type": "function", "function": {"arguments": "}"}}]})),
        chunk(choice({"tool_calls": [{"id": "b", "type": "function", "function": {"name": "g"}}]}, "tool_calls")),
    ]).body()  # fmt: skip
    assert body is not None
    message = body["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert message["reasoning_content"] == "hmm"
    assert message["details"] == [{"index": 0, "t": "ab"}, {"index": 1}]
    assert message["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]
    ChatCompletion.model_validate(body)


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
calls = st.lists(st.fixed_dictionaries({"name": text, "arguments": st.text(max_size=20)}), min_size=1, max_size=3)
messages = st.fixed_dictionaries({}, optional={"content": text, "refusal": text, "tool_calls": calls})


def pieces(draw: Any, value: str) -> list[str]:
    """A string in random pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(value)), max_size=3)))
    return [value[a:b] for a, b in zip([0, *cuts], [*cuts, len(value)], strict=True)]


@given(st.lists(messages, min_size=1, max_size=3), st.data())
def test_an_answer_in_random_pieces_comes_back(answers: list[dict[str, Any]], data: st.DataObject) -> None:
    """Cut each string anywhere and interleave the choices: the same answer."""
    queues: list[list[dict[str, Any]]] = []
    for index, answer in enumerate(answers):
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": data.draw(st.sampled_from(["", None]))}]
        for key in ("content", "refusal"):
            deltas += [{key: piece} for piece in pieces(data.draw, answer.get(key) or "")] if key in answer else []
        for at, each in enumerate(answer.get("tool_calls", [])):
            deltas.append(
                {"tool_calls": [{"index": at, "id": f"c{at}", "type": "function", "function": {"name": each["name"]}}]}
            )
            deltas += [
                {"tool_calls": [{"index": at, "function": {"arguments": p}}]}
                for p in pieces(data.draw, each["arguments"])
            ]
        queues.append([choice(delta, index=index) for delta in deltas] + [choice({}, "stop", index=index)])
    chunks = []
    while left := [queue for queue in queues if queue]:
        chunks.append(chunk(data.draw(st.sampled_from(left)).pop(0)))
    seen = fed(chunks, choices=len(answers))
    body = seen.body()
    assert seen.complete()
    assert body is not None
    ChatCompletion.model_validate(body)
    for answer, got in zip(answers, body["choices"], strict=True):
        message = {key: value for key, value in got["message"].items() if value is not None}
        want: dict[str, Any] = {"role": "assistant", **answer}
        if "tool_calls" in answer:
            want["tool_calls"] = [
                {"id": f"c{at}", "type": "function", "function": each} for at, each in enumerate(answer["tool_calls"])
            ]
        if message.get("content") == "":
            del message["content"]
        assert message == want


KEYS = """
    choices delta index tool_calls content id logprobs finish_reason usage function type response output_index item part
    output summary_index
""".split()  # noqa: SIM905 - legible
KINDS = """
    output_text.delta content_part.added output_item.added output_text.done output_text.annotation.added completed
    created refusal.delta reasoning_summary_text.delta
""".split()  # noqa: SIM905 - legible
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)
kinds = st.sampled_from(KINDS).map("response.".__add__)


@given(
    st.sampled_from(["chat.completions", "completions", "responses", "x", "images.edits"]),
    st.lists(json_values | st.dictionaries(st.sampled_from(["choices", "usage", "delta", "part"]), json_values)
             | st.fixed_dictionaries({"type": kinds}, optional={"output_index": st.integers(0, 2), "delta": json_values,
                                     "item": json_values, "part": json_values, "response": json_values,
                                     "content_index": st.integers(0, 2), "text": json_values, "logprobs": json_values}),
             max_size=8),
    st.sampled_from([500, 10**6]),
)  # fmt: skip
def test_nothing_a_server_sends_raises(endpoint: str, values: list[Any], limit: int) -> None:
    """Any JSON at all in any event."""
    seen = assembly(endpoint, limit=limit)
    for value in values:
        seen.note(ServerSentEvent(data=json.dumps(value)))
    seen.body()
    seen.usage()
    seen.complete()
    seen.end()
    seen.complete()
    json.dumps(seen.body())
