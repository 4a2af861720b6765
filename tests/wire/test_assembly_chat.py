"""Chat completions from their chunks: against the SDK's own accumulation, and as other servers send them."""

from __future__ import annotations

from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.wire.chat_chunks import ROLE, STREAMS, USAGE, choice, chunk, fed


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
