"""One JSON value has one canonical text, and no other value has it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessage
from pydantic import BaseModel

from llmstack import Call
from llmstack.middleware._cache.canonical import NotCanonicalError, canonical
from llmstack.middleware.cache import Cache

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


def respelled(value: Any, draw: Any) -> Any:
    """The same value, spelled otherwise: another order of keys, another kind of list and number."""
    if isinstance(value, dict):
        pairs = draw(st.permutations(list(value.items())))
        return {name: respelled(inner, draw) for name, inner in pairs}
    if isinstance(value, list):
        items = [respelled(inner, draw) for inner in value]
        return tuple(items) if draw(st.booleans()) else items
    if type(value) is int and abs(value) < 2**53 and draw(st.booleans()):
        return float(value)
    if type(value) is float and value.is_integer() and draw(st.booleans()):
        return int(value)
    return value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to what has nothing in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [leaf for name, item in inner for leaf in leaves(item, (*path, name))]
    yield from found or [path]


def changed(value: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    """A copy with another leaf."""
    if not path:
        return leaf
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], leaf)
    return copy


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: in JSON true is no 1, but 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@given(JSON, st.data())
def test_the_same_in_another_spelling_is_the_same(value: Any, data: st.DataObject) -> None:
    """The order of keys, the kind of lists, 1 or 1.0."""
    assert canonical(respelled(value, data.draw)) == canonical(value)


@given(JSON, st.data())
def test_any_other_leaf_is_another(value: Any, data: st.DataObject) -> None:
    """However deep it is."""
    path = data.draw(st.sampled_from(list(leaves(value))))
    other = changed(value, path, data.draw(JSON))
    assert (canonical(other) == canonical(value)) == same(other, value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {}),
        ([1], [True]),
        ([0], [False]),
        (["e\u0301"], ["\u00e9"]),
        (["1.0"], [1]),
        (["\ud800"], ["\ud801"]),
        ([[], [1]], [[1], []]),
        ([2**53], [2**53 + 1]),
        ([1e-300], [1e-301]),
    ],
)
def test_what_differs_stays_different(one: Any, other: Any) -> None:
    """The order of a list is its meaning; texts are compared letter by letter."""
    assert canonical(one) != canonical(other)


LONG = "It was a dark and stormy night. " * 100


def test_long_texts_are_the_same_if_each_letter_is() -> None:
    """Wherever they stand, and whatever is beside them; a digest is told in their place."""
    message = {"role": "user", "content": LONG}
    assert canonical([message]) == canonical([{"content": str(LONG), "role": "user"}])
    assert len(canonical([message])) < 200
    others = [LONG + " ", LONG[:-1], LONG.replace("dark", "Dark"), "", LONG[:999], LONG[:1000], "\ud800" + LONG]
    assert len({canonical([{"role": "user", "content": text}]) for text in [LONG, *others]}) == 1 + len(others)
    assert canonical([LONG, "a"]) != canonical(["a", LONG])
    assert canonical({LONG: 1}) != canonical({LONG[:-1]: 1})


def test_nobody_can_write_what_stands_for_a_long_text() -> None:
    """A text that looks like it is told by a digest of its own."""
    written = json.loads(canonical(LONG))
    for text in (written, written[:-1], "\0", "\0" * 2000):
        assert json.loads(canonical(text)) not in (written, text)
    assert canonical([written]) != canonical([LONG])


def test_models_have_long_texts_and_whole_numbers_as_all_have() -> None:
    """They are taken apart first."""

    class Page(BaseModel):
        text: str
        number: float

    assert canonical([Page(text=LONG, number=1.0)]) == canonical([{"text": LONG, "number": 1}])
    assert canonical(MappingProxyType({"a": [LONG, 2.0]})) == canonical({"a": [LONG, 2]})


@pytest.mark.parametrize(("one", "other"), [(0, -0.0), (1e16, 10**16), (1.5e300, int(1.5e300)), (True, True)])
def test_numbers_are_what_they_mean(one: float, other: float) -> None:
    """JSON has but one kind."""
    assert canonical({"a": [one, "v2.0"]}) == canonical({"a": [other, "v2.0"]})


def cycle() -> Any:
    """A list that holds itself."""
    inner: list[Any] = []
    inner.append(inner)
    return inner


def deep() -> Any:
    """Nested as nothing is."""
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, b"bytes", {1, 2}, object(), 10**5000, BaseModel, {"a": 1, 2: 3}, cycle(), deep()],
    ids=["nan", "inf", "-inf", "bytes", "set", "object", "huge", "class", "mixed keys", "cycle", "deep"],
)
def test_what_is_no_json_has_no_key(value: Any) -> None:
    """And so is not cached."""
    with pytest.raises(NotCanonicalError):
        canonical(value)
    cache = Cache(when="always")
    call = Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m", "extra": value})
    assert cache.explain_key(call).reason == "it is not all JSON"


def test_models_and_dates_are_what_the_sdk_makes_of_them() -> None:
    """A message that was an answer may be asked again."""
    message = ChatCompletionMessage(role="assistant", content="Hello")
    assert canonical([message]) == canonical([{"role": "assistant", "content": "Hello"}])
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    assert canonical([moment]) == canonical([moment.isoformat()])
