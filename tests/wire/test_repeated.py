"""Chunks that repeat the one before: recognised only where nothing but their text is new."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack._wire.assembly_chat import ChatAssembly
from llmstack._wire.assembly_completions import CompletionsAssembly
from llmstack._wire.jsontext import MALFORMED, is_json, parse
from llmstack._wire.repeated import Repeated
from llmstack._wire.sse import ServerSentEvent
from tests.wire.test_assembly_chat import choice, chunk

NASTY = ('"', "\\", "\n", '","obfuscation":"', '"content":"', "}]}", "\u20ac", "\U0001f600", "\x1f", "content", "")
texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=5), max_size=4).map("".join)
deltas = st.fixed_dictionaries(
    {"content": texts},
    optional={"role": st.just("assistant"), "refusal": st.none() | texts, "content2": texts},
)
choices = st.builds(
    choice,
    deltas | st.just({}),
    st.sampled_from([None, None, None, "stop"]),
    st.sampled_from([0, 0, 0, 1]),
    logprobs=st.sampled_from([None, None, None, {"content": [{"token": "a"}]}]),
    kept=st.sampled_from([1, 1, 2]),
)
chunks = st.builds(
    chunk,
    choices,
    obfuscation=texts | st.none(),
    content=st.sampled_from(["x", "x", "y"]),
    created=st.sampled_from([1, 1, 1, 2]),
)
ways = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")])


def written(value: object, separators: tuple[str, str], *, ascii_only: bool) -> str:
    return json.dumps(value, separators=separators, ensure_ascii=ascii_only)


def body_of(texts: list[str], kind: type[Repeated]) -> Any:
    """What is put together, with a way to recognise chunks."""
    seen = ChatAssembly()
    for text in texts:
        seen.note(ServerSentEvent(data=text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmstack._wire.assembly_chat.Repeated", kind)
        return json.dumps(seen.body(), sort_keys=False)


class Never(Repeated):
    """Recognises none."""

    __slots__ = ()

    def text(self, data: str) -> str | None:
        del data
        return None


@given(st.lists(chunks, max_size=8), ways, st.booleans())
def test_what_is_put_together_is_the_same(given: list[dict[str, Any]], way: tuple[str, str], ascii_only: bool) -> None:  # noqa: FBT001
    """With chunks that are recognised, and with none; each chunk comes twice, so that many are."""
    sent = [written(one, way, ascii_only=ascii_only) for chunk in given for one in (chunk, chunk)]
    assert body_of(sent, Repeated) == body_of(sent, Never)


@given(st.lists(texts, max_size=8), st.sampled_from(["padded", "bare", "in front"]), ways)
def test_a_text_in_pieces_comes_back(pieces: list[str], padding: str, way: tuple[str, str]) -> None:
    """Whatever is in it, and wherever the padding stands."""
    sent: list[dict[str, Any]] = []
    for piece in pieces:
        value = chunk(choice({"content": piece}), obfuscation="a" * len(piece))
        if padding == "bare":
            del value["obfuscation"]
        if padding == "in front":
            value = {"obfuscation": value.pop("obfuscation"), **value}
        sent.append(value)
    body = json.loads(body_of([written(one, way, ascii_only=False) for one in sent], Repeated))
    assert ("".join(pieces) if pieces else None) == (body["choices"][0]["message"]["content"] if body else None)


def test_nearly_all_chunks_of_a_stream_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is parsed to know the others, and those with escapes in their text; they do not make it forget."""
    recognised = 0
    original = Repeated.text

    def text(self: Repeated, data: str) -> str | None:
        nonlocal recognised
        found = original(self, data)
        recognised += found is not None
        return found

    monkeypatch.setattr(Repeated, "text", text)
    seen = ChatAssembly()
    for i in range(100):
        content = "\n" if i % 10 == 9 else f" {i}"
        value = chunk(choice({"content": content}), obfuscation="x" * (i % 7), usage=None)
        seen.note(ServerSentEvent(data=json.dumps(value)))
    body = seen.body()
    assert body is not None
    assert len(body["choices"][0]["message"]["content"].split()) == 90
    assert recognised == 89


def test_a_legacy_completion_of_chat_chunks_is_put_together() -> None:
    """Some servers answer so. What is no text of it is kept as it is."""
    seen = CompletionsAssembly()
    for content in "abc":
        seen.note(ServerSentEvent(data=json.dumps(chunk(choice({"content": content})))))
    body = seen.body()
    assert body is not None
    assert body["choices"][0]["delta"] == {"content": "abc"}


def test_chunks_that_take_turns_are_not_learnt_again_and_again() -> None:
    """Of several choices, say."""
    repeated = Repeated()
    sent = [chunk(choice({"content": "a"}, index=i % 2)) for i in range(20)]
    learnt = [repeated.learn(json.dumps(value), value) for value in sent]
    assert learnt == [True] * 4 + [False] * 16


@pytest.mark.parametrize(
    "value",
    [
        chunk(),
        chunk(choice({})),
        chunk(choice({"content": None})),
        chunk(choice({"content": "a"}), choice({"content": "b"}, index=1)),
        chunk(choice({"content": "a", "refusal": "b"})),
        chunk(choice({"content": "a"}, logprobs={"content": []})),
        {"choices": "a"},
        {"choices": ["a"]},
        {"choices": [{"delta": "a"}]},
    ],
)
def test_what_adds_more_than_text_is_not_learnt(value: dict[str, Any]) -> None:
    """It would be lost."""
    assert not Repeated().learn(json.dumps(value), value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ('{"choices":[{"delta":{"content":"b"}}]}', "b"),
        ('{"choices":[{"delta":{"content":""}}]}', ""),
        ('{"choices":[{"delta":{"content":"\\n"}}]}', None),
        ('{"choices":[{"delta":{"content":"a"},"x":"b"}}]}', None),
        ('{"choices":[{"delta":{"content":"a"}}],"b":1}', None),
        ('{"choices":[{"delta":{"content":"}}]}', None),
        ('{"choices":[{"delta":{"content":"\x01"}}]}', None),
        ("", None),
    ],
)
def test_only_the_text_may_differ(data: str, text: str | None) -> None:
    """And it must be one that stands for itself."""
    repeated = Repeated()
    known = '{"choices":[{"delta":{"content":"a"}}]}'
    assert repeated.learn(known, json.loads(known))
    assert repeated.text(data) == text


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
))  # fmt: skip


@given(JSON, st.integers(0, 40), st.text(max_size=2), st.booleans())
def test_json_is_told_as_by_parsing(value: object, at: int, put: str, ascii_only: bool) -> None:  # noqa: FBT001
    """Whole, and mangled at any place."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert is_json(text)
    for mangled in (text[:at], text[:at] + put + text[at:], text[:at] + put + text[at + 1 :]):
        assert is_json(mangled) is (parse(mangled) is not MALFORMED)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"\\ud800"}', '{"a":"\ud800"}', '{"a":NaN}', '{"a":Infinity}', '{"a":1e999}', '{"a":' + "9" * 5000 + "}",
        '{"a":' + "[" * 500 + "]" * 500 + "}", "[" * 100_000, '{"a":1,"a":2}', '{"a":1,}', '{"a":01}', "\ufeff{}",
        '{"a":"\x00"}', "{} ", " {}", "{}x", "[]", "1", "", "null",
    ],
    ids=str.__len__,
)  # fmt: skip
def test_odd_json_is_told_as_by_parsing(text: str) -> None:
    """Where parsers differ, it is the standard library's judgement."""
    assert is_json(text) is (parse(text) is not MALFORMED)
