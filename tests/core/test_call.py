"""Call: frozen, copied, quiet."""

import dataclasses
from typing import Any

import pytest

from llmstack import Call, OpenAI, Stack
from llmstack.testing import ScriptedTransport

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
SAID = {**CHUNK, "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}], "usage": None}
COUNTED = {**CHUNK, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}


def call(**fields):
    """A chat call."""
    return Call(path="/chat/completions", endpoint="chat.completions", **fields)


def test_a_copy_is_the_same_call():
    """Same id, same progress; the original is as it was."""
    original = call(params={"model": "a", "n": 1})
    copy = original.with_params({"max-odd": 1}, model="b", without=["n"])
    assert dict(copy.params) == {"model": "b", "max-odd": 1}
    assert dict(original.params) == {"model": "a", "n": 1}
    assert copy.id == original.id
    copy.progress.committed = True
    assert original.committed


def test_a_call_is_frozen():
    """Layers pass on changed copies."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        call().path = "/elsewhere"  # type: ignore[misc]


def test_ids_differ():
    """Each call has its own."""
    assert len({call().id for _ in range(100)}) == 100


def test_repr_and_info_hold_no_content_and_no_header():
    """Both end up in logs and errors."""
    made = call(params={"model": "m", "messages": ["private words"]}, headers={"authorization": "Bearer abc"})
    for shown in (repr(made), repr(made.info), str(made.info)):
        assert "private" not in shown
        assert "Bearer" not in shown


def streamed(layer, **params):
    """What a program gets from a stream that passes a layer, what was sent, and the usage the layer saw."""
    seen, transport = [], ScriptedTransport(default=[SAID, COUNTED, "[DONE]"])

    def seeing(call, next):
        reply = yield from next(layer(call))
        seen.append(reply.usage)
        return reply

    client = OpenAI(api_key="sk-test-not-a-key", stack=Stack([seeing], transport=transport))
    ask: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, **params}
    chunks = [chunk.to_dict() for chunk in client.chat.completions.create(**ask)]
    return chunks, transport.calls[0].params, seen[0]


def test_usage_asked_for_by_a_layer_is_hidden_from_the_program():
    """As if it had not been asked for: no extra chunk, no null fields."""
    chunks, sent, usage = streamed(lambda call: call.with_usage())
    assert sent["stream_options"] == {"include_usage": True}
    assert [len(chunk["choices"]) for chunk in chunks] == [1]
    assert "usage" not in chunks[0]
    assert usage.output_tokens == 2


def test_usage_asked_for_by_the_program_reaches_it():
    """A layer that wants it too changes nothing."""
    chunks, sent, usage = streamed(lambda call: call.with_usage(), stream_options={"include_usage": True})
    assert sent["stream_options"] == {"include_usage": True}
    assert chunks[1]["usage"]["completion_tokens"] == 2
    assert usage.output_tokens == 2


def test_other_stream_options_are_kept():
    """Only the asking is added."""
    _, sent, _ = streamed(lambda call: call.with_usage(), stream_options={"include_obfuscation": False})
    assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}


@pytest.mark.parametrize(
    "made", [call(), call(stream=True).replace(endpoint="responses"), call(stream=True).replace(endpoint="embeddings")]
)
def test_calls_that_tell_their_usage_anyway_are_left_alone(made):
    """Plain calls, Responses, everything else."""
    assert made.with_usage() is made
