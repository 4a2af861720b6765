"""The messages of a chat as the items of a Responses input."""

from __future__ import annotations

import re
from typing import Any

import pytest

from llmstack.transports._translation.chat_messages import input_items
from llmstack.transports._translation.untranslatable import Losses, Untranslatable
from tests.transports.translation.chat_items import LATE, items, valid

BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def spoken(role: str, content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def said(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CUSTOM = {"id": "call_2", "type": "custom", "custom": {"name": "code", "input": "1 + 1"}}
CALL_ITEM = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a": 1}'}
CUSTOM_ITEM = {"type": "custom_tool_call", "call_id": "call_2", "name": "code", "input": "1 + 1"}
ASKED = {"role": "assistant", "tool_calls": [CALL, CUSTOM]}

MESSAGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "system": ([{"role": "system", "content": "Be brief."}], [spoken("system", "Be brief.")]),
    "developer": (
        [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}],
        [spoken("developer", [{"type": "input_text", "text": "Be brief."}])],
    ),
    "system in between": (
        [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}, {"role": "user", "content": "c"}],
        [spoken("user", "a"), spoken("system", "b"), spoken("user", "c")],
    ),
    "assistant": ([{"role": "assistant", "content": "Hello"}], [spoken("assistant", "Hello")]),
    "assistant in parts": (
        [{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}]}],
        [spoken("assistant", [said("a"), {"type": "refusal", "refusal": "no"}])],
    ),
    "refusal": (
        [{"role": "assistant", "content": None, "refusal": "no"}],
        [spoken("assistant", [{"type": "refusal", "refusal": "no"}])],
    ),
    "refusal after text": (
        [{"role": "assistant", "content": "Well,", "refusal": "no"}],
        [spoken("assistant", [said("Well,"), {"type": "refusal", "refusal": "no"}])],
    ),
    "silence": ([{"role": "assistant", "content": None}], [spoken("assistant", "")]),
    "calls": (
        [ASKED, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}],
        [CALL_ITEM, CUSTOM_ITEM, {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}],
    ),
    "a call after text": (
        [{"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]}],
        [spoken("assistant", "Let me see."), CALL_ITEM],
    ),
    "a call after no text": ([{"role": "assistant", "content": "", "tool_calls": [CALL]}], [CALL_ITEM]),
    "output in parts": (
        [ASKED, {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sunny"}]}],
        [
            CALL_ITEM,
            CUSTOM_ITEM,
            {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "sunny"}]},
        ],
    ),
    "output of a custom tool": (
        [ASKED, {"role": "tool", "tool_call_id": "call_2", "content": "2"}],
        [CALL_ITEM, CUSTOM_ITEM, {"type": "custom_tool_call_output", "call_id": "call_2", "output": "2"}],
    ),
    "a tool's name, which the API does not read": (
        [ASKED, {"role": "tool", "name": "f", "tool_call_id": "call_1", "content": "1"}],
        [CALL_ITEM, CUSTOM_ITEM, {"type": "function_call_output", "call_id": "call_1", "output": "1"}],
    ),
    "functions of old": (
        [
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "2"},
        ],
        [
            {"type": "function_call", "call_id": "call_legacy_0", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_legacy_0", "output": "1"},
            {"type": "function_call", "call_id": "call_legacy_1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_legacy_1", "output": "2"},
        ],
    ),
    "an answer of the SDK's, sent back": (
        [
            {
                "role": "assistant",
                "content": "x",
                "refusal": None,
                "annotations": [],
                "audio": None,
                "function_call": None,
            }
        ],
        [spoken("assistant", "x")],
    ),
    "what a server has of its own": (
        [{"role": "user", "content": "x", "weight": 1}, {**ASKED, "reasoning_content": "hm"}],
        [{**spoken("user", "x"), "weight": 1}, {**CALL_ITEM, "reasoning_content": "hm"}, CUSTOM_ITEM],
    ),
}

PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"type": "text", "text": "x", **BREAKPOINT}, {"type": "input_text", "text": "x", **BREAKPOINT}),
    "image": (
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
    ),
    "image without detail": (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, **BREAKPOINT},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto", **BREAKPOINT},
    ),
    "file": (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}, **BREAKPOINT},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf", **BREAKPOINT},
    ),
    "stored file": (
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_file", "file_id": "file-1"},
    ),
    "sound": (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ),
    "a server's own": ({"type": "video_url", "video_url": {}}, {"type": "video_url", "video_url": {}}),
}


@pytest.mark.parametrize("row", MESSAGES)
def test_a_message_is_translated(row):
    """In its place."""
    given_messages, expected = MESSAGES[row]
    assert items(*given_messages) == expected


@pytest.mark.parametrize("row", PARTS)
def test_a_part_is_translated(row):
    """Of what the user says."""
    part, expected = PARTS[row]
    assert items({"role": "user", "content": [part]}) == [spoken("user", [expected])]


@pytest.mark.skipif(not LATE, reason="compares with the types of today")
@pytest.mark.parametrize("row", MESSAGES)
def test_items_are_what_the_sdks_types_say(row):
    """The wire format is the SDK's."""
    valid(items(*MESSAGES[row][0]))


@pytest.mark.skipif(not LATE, reason="compares with the types of today")
@pytest.mark.parametrize("row", [row for row in PARTS if row not in ("sound", "a server's own")])
def test_parts_are_what_the_sdks_types_say(row):
    """Sound has a type, which the messages' own does not list yet."""
    valid(items({"role": "user", "content": [PARTS[row][0]]}))


def test_a_name_has_no_counterpart():
    """It may be dropped."""
    losses = Losses()
    found = input_items([{"role": "system", "content": "x"}, {"role": "user", "name": "ann", "content": "y"}], losses)
    assert found == [spoken("system", "x"), spoken("user", "y")]
    assert [(loss.path, loss.fatal) for loss in losses.settle("warn")] == [("messages[1].name", False)]


def test_a_breakpoint_on_an_answer_has_no_counterpart():
    """Parts of answers have none."""
    losses = Losses()
    content = [{"type": "text", "text": "x", **BREAKPOINT}]
    assert input_items([{"role": "assistant", "content": content}], losses) == [spoken("assistant", [said("x")])]
    (loss,) = losses.settle("warn")
    assert loss.path == "messages[0].content[0].prompt_cache_breakpoint"


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"role": "assistant", "audio": {"id": "audio_1"}}, "messages[0].audio"),
        ({"role": "assistant", "tool_calls": [{"id": "x", "type": "odd"}]}, "messages[0].tool_calls[0]"),
        ({"role": "function", "name": "f", "content": "1"}, "messages[0]"),
    ],
    ids=["audio", "odd call", "output of no call"],
)
def test_what_a_conversation_cannot_do_without_is_never_dropped(message, path):
    """Also if the program said that parameters may be."""
    losses = Losses()
    input_items([message], losses)
    with pytest.raises(Untranslatable) as caught:
        losses.settle("warn")
    assert (caught.value.path, caught.value.droppable) == (path, False)


def test_paths_say_where_and_nothing_else():
    """No word of the conversation."""
    losses = Losses()
    input_items([{"role": "user", "content": "secret", "name": "secret"}], losses)
    (loss,) = losses.settle("warn")
    assert re.fullmatch(r"`messages\[0\]\.name` has no counterpart in the Responses API", str(loss))
