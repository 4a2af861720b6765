"""A usage that was asked for by a layer is taken out of chunks, and out of their text where that is enough."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack._core.usage_chunk import HideUsage

CHUNK = '{"id":"c","choices":[{"index":0,"delta":{"content":"Hel}lo, {\\"usage\\":null}"}}]%s}'
ATOMS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.sampled_from(["", "a}", 'b"', "usage", "ü", "\\"]))
NAMES = st.sampled_from(["usage", "choices", "delta", "obfuscation", "x"])
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3))
SPACED: list[Any] = [(",", ":"), (", ", ": "), (" ,\n", " : ")]


def fed(data: str) -> Any:
    """What becomes of a chunk that is fed."""
    (chunk,) = HideUsage().feed(json.loads(data))
    return chunk


@pytest.mark.parametrize(
    "tail",
    ["", ',"usage":null', ', "usage" : null ', ',"usage":null,"obfuscation":"a}b"', ',"usage":null,"created":1.5'],
)
def test_text_is_enough_for_most_chunks(tail: str) -> None:
    """Those that have no usage, or one that says nothing, wherever it stands among plain values."""
    data = CHUNK % tail
    text = HideUsage().skim(data)
    assert text is not None
    assert "usage" not in json.loads(text)
    assert json.loads(text) == fed(data)
    assert (text is data) == (tail == "")


@pytest.mark.parametrize(
    "tail",
    [',"usage":{"prompt_tokens":1}', ',"usage":null,"usage":null', ',"x":{"usage":null}', ',"\\u0075sage":null',
     ',"usage":null,"x":{"a":1}', ',"usage":nullify', ',"x":[{"usage":null}],"y":1'],
)  # fmt: skip
def test_all_else_has_to_be_fed(tail: str) -> None:
    """It says something, stands inside of something else, or cannot be told."""
    assert HideUsage().skim(CHUNK % tail) is None


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.sampled_from(SPACED), st.booleans())
def test_the_text_says_what_a_chunk_that_is_fed_says(chunk: dict[str, Any], spaces: Any, ascii_only: bool) -> None:  # noqa: FBT001
    """However it is written, if it is told by its text at all."""
    data = json.dumps(chunk, separators=spaces, ensure_ascii=ascii_only)
    text = HideUsage().skim(data)
    if text is not None:
        assert [json.loads(text)] == [*HideUsage().feed(chunk)]
