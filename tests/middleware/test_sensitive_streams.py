"""Redaction of streams: every kind of text that comes in pieces is restored, wherever a placeholder was cut."""

from __future__ import annotations

import json
import pkgutil
from importlib import import_module
from typing import Any, get_args

import pytest
from openai import BaseModel
from openai.types import responses

from llmstack import OpenAI, Stack
from llmstack.middleware import Validation
from llmstack.testing import ScriptedTransport
from tests.core.side import DONE, chunk

JANE = "jane@example.com"
ASK: Any = [{"role": "user", "content": f"write to {JANE}"}]
PIECES = ["to [EM", "AIL_", "1], not [EMAIL_2] [EM"]
WHOLE = "".join(PIECES)
RESTORED = f"to {JANE}, not [EMAIL_2] [EM"
HEAD = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}  # fmt: skip


def client(script: list[Any]) -> Any:
    """A client that redacts."""
    return OpenAI(
        api_key="sk-test-not-a-key",
        stack=Stack([Validation(personal="redact")], transport=ScriptedTransport([script])),
    )


def delta_events() -> dict[str, type[BaseModel]]:
    """The SDK's events that bring a piece of a text, by their type."""
    found: dict[str, type[BaseModel]] = {}
    for module in pkgutil.iter_modules(responses.__path__):
        if module.name.endswith("_delta_event"):
            for cls in vars(import_module(f"openai.types.responses.{module.name}")).values():
                if isinstance(cls, type) and issubclass(cls, BaseModel) and "sequence_number" in cls.model_fields:
                    found[get_args(cls.model_fields["type"].annotation)[0]] = cls
    return found


EVENTS = delta_events()
SOUND = "response.audio.delta"


def test_the_sdk_has_events_of_every_kind():
    """Else the next test would show little."""
    assert len(EVENTS) >= 12
    assert {"response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta",
            "response.audio.transcript.delta", "response.shell_call_output_content.delta"} <= EVENTS.keys()  # fmt: skip


def streamed(kind: str, pieces: list[Any], end: list[dict[str, Any]]) -> list[Any]:
    """What a program reads of these deltas."""
    fields = EVENTS[kind].model_fields.keys() - {"type", "delta", "sequence_number", "obfuscation", "logprobs"}
    place: dict[str, Any] = {name: "i_1" if name.endswith("_id") else 0 for name in sorted(fields)}
    events = [{"type": kind, **place, "delta": piece} for piece in pieces]
    events += [{**place, **event} for event in end] + [{"type": "response.completed", "response": HEAD}]
    numbered = [{**event, "sequence_number": i} for i, event in enumerate(events)]
    return list(client(numbered).responses.create(model="m", input=ASK, stream=True))


@pytest.mark.parametrize("ending", ["done", "completed"])
@pytest.mark.parametrize("kind", sorted(EVENTS.keys() - {SOUND, "response.shell_call_output_content.delta"}))
def test_every_text_of_a_response_is_restored(kind, ending):
    """Also where its end is not announced; nothing comes after the response is completed."""
    end = [{"type": kind.removesuffix("delta") + "done"}] if ending == "done" else []
    read = streamed(kind, list(PIECES), end)
    assert "".join(event.delta for event in read if event.type == kind) == RESTORED
    assert read[-1].type == "response.completed"
    numbers = [event.sequence_number for event in read]
    assert numbers == sorted(set(numbers))


def test_what_a_command_writes_is_restored():
    """Its two outputs apart."""
    kind = "response.shell_call_output_content.delta"
    other = ["", "[EMAIL_1", "]"]
    pieces = [{"stdout": one, "stderr": two} for one, two in zip(PIECES, other, strict=True)]
    done = {"type": kind.removesuffix("delta") + "done", "output": [{"stdout": WHOLE, "stderr": "[EMAIL_1]"}]}
    read = streamed(kind, pieces, [done])
    deltas = [event.delta for event in read if event.type == kind]
    assert "".join(delta.stdout or "" for delta in deltas) == RESTORED
    assert "".join(delta.stderr or "" for delta in deltas) == JANE
    (last,) = [event for event in read if event.type.endswith("content.done")]
    assert (last.output[0].stdout, last.output[0].stderr) == (RESTORED, JANE)


def test_sound_is_left_alone():
    """It is no text."""
    read = streamed(SOUND, ["UklGRg", "=="], [])
    assert [event.delta for event in read if event.type == SOUND] == ["UklGRg", "=="]


TEXTS: dict[str, tuple[Any, Any]] = {
    "content": (lambda text: {"content": text}, lambda delta: delta["content"]),
    "refusal": (lambda text: {"refusal": text}, lambda delta: delta["refusal"]),
    "reasoning, as DeepSeek has it": (
        lambda text: {"reasoning_content": text},
        lambda delta: delta["reasoning_content"],
    ),
    "reasoning, as OpenRouter has it": (
        lambda text: {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": text}]},
        lambda delta: delta["reasoning_details"][0]["text"],
    ),
    "a transcript": (
        lambda text: {"audio": {"id": "a", "transcript": text}},
        lambda delta: delta["audio"]["transcript"],
    ),
    "arguments": (
        lambda text: {"tool_calls": [{"index": 0, "function": {"arguments": text}}]},
        lambda delta: delta["tool_calls"][0]["function"]["arguments"],
    ),
    "what a custom tool gets": (
        lambda text: {"tool_calls": [{"index": 0, "type": "custom", "custom": {"input": text}}]},
        lambda delta: delta["tool_calls"][0]["custom"]["input"],
    ),
    "arguments of a deprecated function": (
        lambda text: {"function_call": {"arguments": text}},
        lambda delta: delta["function_call"]["arguments"],
    ),
}


@pytest.mark.parametrize("ending", [{"finish_reason": "stop"}, None], ids=["finished", "cut"])
@pytest.mark.parametrize("name", TEXTS)
def test_every_text_of_a_chat_is_restored(name, ending):
    """Of two choices, whose pieces come by turns."""
    made, read = TEXTS[name]
    chunks = [
        {**chunk(), "choices": [{"index": index, "delta": made(piece), "finish_reason": None}]}
        for piece in PIECES
        for index in (0, 1)
    ]
    if ending:
        chunks += [{**chunk(), "choices": [{"index": index, "delta": {}, **ending}]} for index in (0, 1)]
    said = {0: "", 1: ""}
    for one in client([*chunks, DONE]).chat.completions.create(model="m", messages=ASK, n=2, stream=True):
        for choice in one.to_dict()["choices"]:
            if choice["delta"]:
                said[choice["index"]] += read(choice["delta"])
    assert said == {0: RESTORED, 1: RESTORED}


def test_arguments_that_are_json_are_restored_wherever_they_have_a_text():
    """Also in members that are none of the model's elsewhere."""
    given = {"id": "[EMAIL_1]", "data": {"status": ["[EMAIL_1]"]}}
    item = {"id": "t_1", "type": "tool_search_call", "arguments": given, "status": "completed"}
    transport = ScriptedTransport([{**HEAD, "output": [item]}])
    asked = OpenAI(api_key="sk-test-not-a-key", stack=Stack([Validation(personal="redact")], transport=transport))
    answer = json.loads(asked.responses.create(model="m", input=ASK).to_json())
    assert answer["output"][0]["arguments"] == {"id": JANE, "data": {"status": [JANE]}}
