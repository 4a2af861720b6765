"""Embeddings cut out of one answer and put into another say what they said, and what is none is taken for none."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack.middleware._cache.vector import Vector, around, together, vectors_of

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), min_size=1, max_size=4)
FLOATS = st.binary(min_size=4, max_size=32).map(lambda data: base64.b64encode(data[: len(data) // 4 * 4]).decode())


def answer(embeddings: list[Any], model: str = "m") -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": one} for i, one in enumerate(embeddings)]
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def cut(body: Any, content: bytes | None = None, count: int | None = None) -> list[Any] | None:
    content = json.dumps(body).encode() if content is None else content
    texts = vectors_of(content, body, len(body["data"]) if count is None else count)
    return None if texts is None else [json.loads(text) for text in texts]


@given(embeddings=st.lists(NUMBERS, min_size=1, max_size=4) | st.lists(FLOATS, min_size=1, max_size=4), data=st.data())
def test_they_are_what_they_were(embeddings: list[Any], data: st.DataObject) -> None:
    """In the order of their inputs, whatever order and spelling they came in; and so are they when put together."""
    body = answer(embeddings)
    body["data"] = data.draw(st.permutations(body["data"]))
    content = json.dumps(body, indent=data.draw(st.sampled_from([None, 2]))).encode()
    texts = vectors_of(content, body, len(embeddings))
    assert texts is not None
    assert [json.loads(text) for text in texts] == embeddings
    assert json.loads(together(texts, "m", body["usage"])) == answer(embeddings)
    for text in texts:
        before, behind = around('a "model",\n', 3)
        kept = before + text + behind
        assert Vector.of(kept) == Vector('a "model",\n', 3, text)
        json.loads(kept)


@given(
    text=st.text(st.sampled_from("AQgz09+/=-_ \n\u00e9"), max_size=16)
    | st.binary(max_size=20).map(base64.b64encode).map(bytes.decode)
)
def test_base64_is_told_as_the_standard_library_tells_it(text: str) -> None:
    """And that it is of whole numbers."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    assert (cut(answer([text])) == [text]) == (bool(decoded) and len(decoded) % 4 == 0)


@pytest.mark.parametrize(
    "body",
    [
        answer([[1.5], "AAAA"]),
        answer([[1.5], []]),
        answer([[1.5], [True]]),
        answer([[1.5], ["1"]]),
        answer([[1.5], None]),
        answer([[[1.5]]]),
        answer(["AAAAAAAA", "AAAA"]),
        {**answer([[1.5]]), "model": None},
        {**answer([[1.5]]), "data": [[1.5]]},
        {**answer([[1.5]]), "data": [{"index": 1, "embedding": [1.5]}]},
        {**answer([[1.5]]), "data": [{"index": [0], "embedding": [1.5]}]},
        {**answer([[1.5]]), "data": [{"index": False, "embedding": [1.5]}]},
        {**answer([[1.5]]), "data": [{"index": 0, "embedding": [1.5]}] * 2},
    ],
)
def test_what_is_not_all_right_is_none_of_it(body: dict[str, Any]) -> None:
    """Another place, another kind, a number that is none."""
    assert cut(body) is None


def test_as_many_must_come_as_were_asked_for() -> None:
    """Neither more nor fewer."""
    body = answer([[1.0], [2.0]])
    assert cut(body, count=1) is None
    assert cut(body, count=3) is None


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ('"embedding":[9]', ""),
        ("m", '"embedding":[9],'),
        ("m", '"meta":{"embedding" : [9.0]},'),
        ("m", '"x":"\\"embedding\\":[9]",'),
    ],
)
def test_what_only_looks_like_one_is_not_taken_for_it(model: str, more: str) -> None:
    """A name, a text, a field of another object."""
    text = json.dumps(answer([[1.0], [2.0]], model)).replace('{"object": "list",', "{" + more)
    assert cut(json.loads(text), text.encode()) == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"model":"m","tokens":1}',
        b'{"model":1,"tokens":1,"embedding":[1.0]}',
        b'{"model":"m","tokens":-1,"embedding":[1.0]}',
        b'{"model":"m","tokens":1.0,"embedding":[1.0]}',
        b'{"model":"m","tokens":1,"embedding":[]}',
        b'{"model":"m","tokens":1,"embedding":["a"]}',
        b'{"model":"m","tokens":1,"embedding":[1.0}',
        b'{"model":"m","tokens":1,"embedding":"AAA"}',
        b'{"model":"m","tokens":1,"embedding":"AAAAAA==","x":"AAAAAA=="}',
        b'{"model":"m","tokens":1,"embedding":"}',
        b'{"model":"m","tokens":1,"embedding":}',
    ],
)
def test_what_is_kept_and_is_none_is_none(content: bytes) -> None:
    """A store may hold anything."""
    assert Vector.of(content) is None
