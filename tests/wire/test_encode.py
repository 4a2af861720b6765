"""Request bodies equal what the SDK's transform makes, byte by byte; and what is not certain is left to it."""

from __future__ import annotations

import datetime as dt
import enum
import io
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Required

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import NOT_GIVEN, omit
from openai._utils import maybe_transform
from openai._utils._json import openapi_dumps
from openai._utils._transform import PropertyInfo
from openai.types import completion_create_params as legacy
from openai.types import embedding_create_params, moderation_create_params
from openai.types.chat import ChatCompletionMessage, completion_create_params
from openai.types.responses import response_create_params
from typing_extensions import TypedDict

from llmstack._wire.encode import BY_SDK, body_of
from tests.wire.bodies import body

KINDS: dict[str, Any] = {
    "chat": completion_create_params.CompletionCreateParamsNonStreaming,
    "chat, either": completion_create_params.CompletionCreateParams,
    "completions": legacy.CompletionCreateParamsStreaming,
    "embeddings": embedding_create_params.EmbeddingCreateParams,
    "moderations": moderation_create_params.ModerationCreateParams,
    "responses": response_create_params.ResponseCreateParamsNonStreaming,
    "responses, either": response_create_params.ResponseCreateParams,
}
CHAT = KINDS["chat"]


def sent(value: Any) -> bytes:
    return openapi_dumps(value)


class Colour(enum.StrEnum):
    RED = "red"


class Point(pydantic.BaseModel):
    x: int
    y: int = 2


def message() -> ChatCompletionMessage:
    """An answer's message, as programs put it into the next request."""
    return ChatCompletionMessage.construct(role="assistant", content="hi", tool_calls=None, new=1)


# What is no JSON, by what the SDK makes of it: made anew each time, as some of it can be read only once.
STRANGE: list[Callable[[], Any]] = [
    message,
    lambda: {"role": "user", "content": [Point(x=1)]},
    lambda: Point(x=1),
    lambda: (1, 2),
    lambda: {"role": "user", "content": ("a", "b")},
    lambda: {"role": "user", "content": omit},
    lambda: {"role": "user", "content": NOT_GIVEN},
    lambda: OrderedDict(role="user", content="x"),
    lambda: Colour.RED,
    lambda: {"role": Colour.RED, "content": "x"},
    lambda: dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
    lambda: iter([{"role": "user", "content": "x"}]),
    lambda: {"role": "user", 1: "a number for a key", None: "nothing"},
]


@pytest.mark.parametrize("name", KINDS)
def test_plain_bodies_of_all_kinds_are_what_the_sdk_makes(name: str) -> None:
    """And are never left to it."""

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(body(KINDS[name]))
    def check(given: Any) -> None:
        if isinstance(given, dict):
            given = {**given, "user": omit, "metadata": NOT_GIVEN}
            ours = body_of(given, KINDS[name])
            assert ours is not BY_SDK
            assert sent(ours) == sent(maybe_transform(given, KINDS[name]))

    check()


@pytest.mark.parametrize("make", STRANGE)
@pytest.mark.parametrize("where", ["a message", "messages", "the model", "something unknown", "a tool"])
@pytest.mark.parametrize("name", ["chat", "chat, either", "responses"])
def test_strange_values_are_what_the_sdk_makes_of_them_or_are_left_to_it(
    make: Callable[[], Any], where: str, name: str
) -> None:
    """Pydantic objects, tuples, iterators, enums, omissions: wherever they stand."""

    def given() -> dict[str, Any]:
        plain = {"role": "user", "content": "x"}
        places = {
            "a message": {"messages": [plain, make(), plain]},
            "messages": {"messages": make()},
            "the model": {"model": make()},
            "something unknown": {"unheard_of": make()},
            "a tool": {"tools": [make(), {"type": "function"}]},
        }
        return {"model": "m", "messages": [plain], "stream": omit, **places[where]}

    ours = body_of(given(), KINDS[name])
    if ours is BY_SDK:
        return
    try:
        theirs = sent(maybe_transform(given(), KINDS[name]))
    except TypeError:  # an iterator where none may be
        with pytest.raises(TypeError):
            sent(ours)
    else:
        assert sent(ours) == theirs


def test_a_message_that_is_an_object_does_not_cost_the_others_their_speed() -> None:
    """It alone is transformed by the SDK."""
    given = {"model": "m", "messages": [{"role": "user", "content": "x"}, message()]}
    ours = body_of(given, CHAT)
    assert ours is not BY_SDK
    assert sent(ours) == sent(maybe_transform(given, CHAT))
    assert ours["messages"][1] == {"role": "assistant", "content": "hi", "tool_calls": None, "new": 1}


@pytest.mark.parametrize("content", [Path(__file__), io.BytesIO(b"x"), dt.date(2024, 1, 2), b"bytes", {1, 2}, 1j])
def test_what_only_the_sdk_knows_is_left_to_it(content: Any) -> None:
    """Files and dates may be read or formatted where a type says so."""
    assert body_of({"model": "m", "messages": [{"role": "user", "content": content}]}, CHAT) is BY_SDK


def test_a_body_shares_nothing_with_what_was_given() -> None:
    """Who changes his conversation while a stream is open does not change what may be sent again."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
    ours = body_of({"model": "m", "messages": messages}, CHAT)
    messages[0]["content"][0]["text"] = "y"  # type: ignore[index]
    messages.append({"role": "user", "content": "z"})
    assert ours == {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}


def test_a_body_that_holds_itself_is_left_to_the_sdk() -> None:
    """Which says what is wrong with it."""
    endless: list[Any] = []
    endless.append(endless)
    assert body_of({"model": "m", "messages": endless}, CHAT) is BY_SDK


class Inner(TypedDict, total=False):
    card_id: Annotated[str, PropertyInfo(alias="cardID")]
    after: Annotated[dt.date, PropertyInfo(format="iso8601")]


class Params(TypedDict, total=False):
    cards: Required[list[Inner]]
    named: Annotated[str, PropertyInfo(alias="Named")]
    card: Inner | None


KEYS = st.sampled_from(["card_id", "named", "cards", "x"])
VALUES = st.recursive(
    st.text(max_size=3) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_keys_that_are_renamed_are_renamed_by_the_sdk(value: Any) -> None:
    """Wherever they may stand."""
    for arguments in ({"cards": value}, {"card": value}, {"named": value}, {"x": value}):
        ours = body_of(arguments, Params)
        assert ours is BY_SDK or sent(ours) == sent(maybe_transform(arguments, Params))
    assert body_of({"cards": [{"card_id": "x"}]}, Params) == {"cards": [{"cardID": "x"}]}
    assert body_of({"card": {"card_id": value}}, Params) is BY_SDK


def test_a_type_that_is_no_dictionary_is_left_to_the_sdk() -> None:
    """So is a body that is none."""
    assert body_of({"a": 1}, list[str]) is BY_SDK
    assert body_of(["a"], CHAT) is BY_SDK
