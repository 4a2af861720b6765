"""What a chat completion asks for and the Responses API does not know: named, neutral, or left to the API."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack.transports._translation.chat_request import NEUTRAL, responses_request
from llmstack.transports._translation.untranslatable import Losses, Untranslatable
from tests.transports.translation.chat_requests import translated


def lost(**params: Any) -> list[str]:
    """What cannot be sent."""
    losses = Losses()
    responses_request(params, losses)
    return [loss.path for loss in losses.settle("warn")]


GREEDY = {
    "audio": {"voice": "alloy", "format": "mp3"},
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "modalities": ["text", "audio"],
    "n": 2,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": -1,
    "seed": 7,
    "stop": "END",
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_parameter_without_counterpart_is_named(name):
    """And not sent."""
    losses = Losses()
    body = responses_request({name: GREEDY[name]}, losses)
    assert body == {"store": False}
    with pytest.raises(Untranslatable, match=f"`{name}` has no counterpart in the Responses API") as caught:
        losses.settle("refuse")
    assert (caught.value.path, caught.value.droppable) == (name, True)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in NEUTRAL.items() for value in values])
def test_a_neutral_value_passes(name, value):
    """It asks for nothing, so nothing is lost, and it is not sent either."""
    assert translated(**{name: value}) == {}


def test_all_losses_are_told_at_once():
    """One error to read, not one after another."""
    losses = Losses()
    responses_request({"n": 2, "seed": 1, "temperature": 1}, losses)
    with pytest.raises(Untranslatable) as caught:
        losses.settle("refuse")
    assert [loss.path for loss in caught.value.losses] == ["n", "seed"]


def test_two_limits_that_contradict_each_other():
    """The newer one is kept."""
    assert lost(max_tokens=5, max_completion_tokens=6) == ["max_tokens"]
    losses = Losses()
    assert responses_request({"max_tokens": 5, "max_completion_tokens": 6}, losses)["max_output_tokens"] == 6


def test_what_is_asked_of_the_other_api_and_cannot_be_meant():
    """An answer that comes later is none now."""
    assert lost(background=True, input="x") == ["input", "background"]
    assert translated(background=False) == {}


@pytest.mark.parametrize(
    "odd",
    [
        {"messages": "no list"},
        {"messages": [1, None]},
        {"tools": "no list"},
        {"tools": [1, {}, {"type": "function"}]},
        {"functions": 3},
        {"functions": [3]},
        {"function_call": 3},
        {"tool_choice": {"type": "function", "function": "weather"}},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": 3}}},
        {"response_format": "json"},
        {"web_search_options": 3},
        {"stream_options": 3},
        {"include": "x", "logprobs": True},
        {"reasoning": "x", "reasoning_effort": "low"},
    ],
    ids=repr,
)
def test_odd_values_are_for_the_api_to_refuse(odd):
    """Nothing is raised here."""
    responses_request(odd, Losses())
