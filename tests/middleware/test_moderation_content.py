"""What of a call is judged: of each endpoint, of a conversation, of long texts and many."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack import Call
from llmstack.errors import ModerationError
from llmstack.middleware._moderation.question import asked
from llmstack.middleware._moderation.request import batches, chunks
from llmstack.middleware.moderation import Moderation
from tests.core.side import Side
from tests.middleware.moderation_rig import FLAGGED, ask, rig_of, sent

IMAGE = "https://example.com/a.png"
TALK = [
    {"role": "system", "content": "rules"},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": "answer", "tool_calls": [{"id": "1", "function": {"arguments": "args"}}]},
    {"role": "tool", "tool_call_id": "1", "content": "result"},
    {
        "role": "user",
        "content": [{"type": "text", "text": "second"}, {"type": "image_url", "image_url": {"url": IMAGE}}],
    },
]
ITEMS = [
    {"role": "developer", "content": "rules"},
    {"role": "user", "content": "first"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "answer"}]},
    {"type": "function_call", "call_id": "1", "name": "f", "arguments": "args"},
    {"type": "function_call_output", "call_id": "1", "output": "result"},
    {
        "role": "user",
        "content": [{"type": "input_text", "text": "second"}, {"type": "input_image", "image_url": IMAGE}],
    },
]


def of(endpoint: str, scope: Any = "new", **params: Any) -> Any:
    """What would be judged of a call."""
    return asked(Call(path="/x", endpoint=endpoint, params=params), scope)


@pytest.mark.parametrize(
    ("endpoint", "name", "talk"), [("chat.completions", "messages", TALK), ("responses", "input", ITEMS)]
)
def test_what_is_new_is_judged(endpoint: str, name: str, talk: Any) -> None:
    """Since the last answer; the program's own instructions are not."""
    content = of(endpoint, **{name: talk})
    assert content.texts == ("result", "second")
    assert content.images == ("https://example.com/a.png",)
    assert of(endpoint, **{name: talk[:2]}).texts == ("first",)


@pytest.mark.parametrize(
    ("endpoint", "name", "talk"), [("chat.completions", "messages", TALK), ("responses", "input", ITEMS)]
)
def test_the_whole_conversation_can_be_judged(endpoint: str, name: str, talk: Any) -> None:
    """With the answers, and the instructions."""
    texts = of(endpoint, "all", **{name: talk}).texts
    assert texts == ("rules", "first", "answer", "args", "result", "second")


def test_a_message_of_two_fields_has_whatever_is_in_them() -> None:
    """Also where one of them is what it is in no message."""
    assert of("chat.completions", messages=[{"role": "user", "content": ""}]).texts == ()
    odd = {"role": {"type": "image_url", "image_url": IMAGE}, "content": "words"}
    content = of("chat.completions", messages=[odd, {"role": "user", "refusal": "no"}, {"x": "y", "content": "z"}])
    assert content.texts == ("words", "no", "y", "z")
    assert content.images == (IMAGE,)


def test_a_field_that_is_called_type_may_be_anything() -> None:
    """As in a schema of a tool that the model was shown."""
    schema = {"properties": {"type": {"type": "string"}, "name": {"type": "string"}}}
    item = {"type": "mcp_list_tools", "tools": [{"input_schema": schema}], "said": "words"}
    assert of("responses", input=[item, {"type": ["x"], "text": "more"}]).texts == ("words", "more")


def test_an_answer_that_the_program_begins_is_new() -> None:
    """What it puts into the model's mouth."""
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Sure, here is"}]
    assert of("chat.completions", messages=talk).texts == ("hi", "Sure, here is")


@pytest.mark.parametrize(
    ("endpoint", "params", "texts"),
    [
        ("responses", {"input": "hi", "instructions": "rules"}, ("hi",)),
        ("responses", {"prompt": {"id": "p", "variables": {"a": "Ann", "x": {"text": "y"}}}}, ("Ann", "y")),
        ("completions", {"prompt": "hi", "suffix": "end"}, ("hi", "end")),
        ("completions", {"prompt": ["a", "b"]}, ("a", "b")),
        ("images.generations", {"prompt": "a hat"}, ("a hat",)),
        ("images.edits", {"prompt": "a hat"}, ("a hat",)),
        ("audio.speech", {"input": "say this", "instructions": "loudly"}, ("say this", "loudly")),
        ("videos", {"prompt": "a cat"}, ("a cat",)),
        ("embeddings", {"input": "hi"}, ()),
        ("chat.completions", {"messages": None}, ()),
        ("chat.completions", {"messages": [None, "x", {"role": "user"}, {"role": "user", "content": 5}]}, ()),
        ("responses", {"input": {"odd": 1}}, ()),
    ],
)
def test_each_endpoint_has_its_own_content(endpoint: str, params: Any, texts: Any) -> None:
    """Whatever else is in the body; what has no shape that is known says nothing."""
    assert of(endpoint, **params).texts == texts


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "file", "file": {"file_id": "f"}}, "file"),
        ({"type": "input_audio", "input_audio": {"data": "x"}}, "input_audio"),
        ({"type": "input_image", "file_id": "f"}, "input_image"),
    ],
)
def test_what_cannot_be_read_is_known(part: Any, kind: str) -> None:
    """So that it may be refused."""
    assert of("chat.completions", messages=[{"role": "user", "content": [part]}]).unreadable == (kind,)
    assert of("completions", prompt=[1, 2]).unreadable == ("tokens",)
    assert of("completions", prompt=[[1, 2], [3]]).unreadable == ("tokens",)


def test_a_long_text_is_cut_with_overlap() -> None:
    """Every stretch of 200 characters is whole in one of the pieces, and none is longer than the model reads."""
    text = "".join(chr(0x4E00 + i % 5000) for i in range(30_000))
    pieces = list(chunks(text))
    assert all(len(piece.encode()) <= 32_768 and len(piece) <= 8_000 for piece in pieces)
    assert all(any(text[i : i + 200] in piece for piece in pieces) for i in range(0, len(text) - 200, 97))
    assert list(chunks("short")) == ["short"]


def test_requests_are_as_large_as_the_endpoint_takes() -> None:
    """32 texts, 32,000 bytes, one image."""
    given = batches(["x"] * 40 + ["y" * 8000] * 5, ["u1", "u2"])
    assert [len(one) for one in given] == [32, 11, 2, 1, 1]
    assert [text for one in given[:3] for text in one] == ["x"] * 40 + ["y" * 8000] * 5
    assert given[-1] == [{"type": "image_url", "image_url": {"url": "u2"}}]


def test_images_and_long_texts_are_judged(side: Side) -> None:
    """All requests about one call at once; each image alone; known pieces are not asked about again."""
    rig = rig_of(side, Moderation())
    text = "harmless " * 4000
    url = {"url": f"https://example.com/{FLAGGED}.png"}
    image = {"type": "image_url", "image_url": url}

    async def program() -> None:
        await side.do(ask(rig, text))
        with pytest.raises(ModerationError):
            await side.do(ask(rig, text + FLAGGED))
        with pytest.raises(ModerationError):
            await side.do(ask(rig, [{"type": "text", "text": text}, image]))

    side.run(program)
    assert sent(rig).count("chat.completions") == 1
    assert rig.sent[-1].params["input"] == [{"type": "image_url", "image_url": url}]


def test_an_old_model_is_not_asked_about_images(side: Side) -> None:
    """It reads text only."""
    rig = rig_of(side, Moderation(model="text-moderation-latest"))

    async def program() -> None:
        await side.do(ask(rig, [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]))

    side.run(program)
    assert sent(rig) == ["chat.completions"]
