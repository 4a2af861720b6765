"""Bodies with long texts in them are the bytes that the SDK makes of them."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack._wire import bodytext
from llmstack._wire.bodytext import json_bytes
from llmstack._wire.sdk_hot import json_text

LONG = 4_000
ALL = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)

TEXTS = st.text(max_size=20) | st.text(min_size=1, max_size=20).map(lambda text: text * LONG)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(params=st.dictionaries(st.sampled_from(["messages", "input", "prompt", "temperature", "x"]), VALUES))
def test_they_are_the_same(params: dict[str, Any]) -> None:
    """Whatever is in them, and wherever."""
    assert json_bytes(params) == json_text(params).encode()


def test_each_character_is_written_as_the_sdk_writes_it() -> None:
    """Escapes in their one form, and nothing escaped that need not be."""
    params = {"model": "m", "messages": [{"role": "user", "content": ALL}], "input": ALL}
    assert json_bytes(params) == json_text(params).encode()


PLACES: dict[str, Callable[[str], Any]] = {
    "a prompt": lambda text: {"input": text, "temperature": 1e-05},
    "a message": lambda text: {"messages": [{"role": "user", "content": text}, {"role": "user", "content": "Hi"}]},
    "a part": lambda text: {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
    "a picture": lambda text: {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": text}}]}]
    },
    "the end of a long conversation": lambda text: {"messages": [{"content": str(i)} for i in range(99)] + [text]},
    "several": lambda text: {"input": [text, "x", text + "y"], "instructions": text, "model": "m"},
}


@pytest.mark.parametrize("place", PLACES)
def test_long_texts_are_found_and_left_as_they_are(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder has but what is around them, and the body of the program is not changed."""
    params, same = PLACES[place]('"\n' * LONG), PLACES[place]('"\n' * LONG)
    encoded: list[str] = []
    monkeypatch.setattr(bodytext, "json_text", lambda value: encoded.append(json_text(value)) or encoded[-1])
    assert json_bytes(params) == json_text(params).encode()
    assert params == same
    assert sum(map(len, encoded)) < LONG


def test_what_stands_for_a_text_may_stand_in_another() -> None:
    """Even if somebody had guessed it."""
    for text in (bodytext._MARK, f'say "{bodytext._MARK}"'):  # noqa: SLF001 - see above
        params = {"messages": [{"content": text}, {"content": "long" * LONG}, {text: 1}]}
        assert json_bytes(params) == json_text(params).encode()


@pytest.mark.parametrize("value", ["\ud83d" * LONG, float("nan"), object()])
def test_what_the_sdk_cannot_write_it_says_itself(value: Any) -> None:
    """With the same error."""
    params = {"input": ["x" * LONG, value]}
    with pytest.raises((ValueError, TypeError)) as theirs:
        json_text(params).encode()
    with pytest.raises(theirs.type):
        json_bytes(params)
