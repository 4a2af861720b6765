"""Usage: read from any endpoint, sanitised."""

import pytest

from llmstack import Usage


def test_chat_usage():
    """Chat completions' names."""
    raw = {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 15, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 2},
    }
    assert Usage.from_json(raw) == Usage(
        input_tokens=20,
        output_tokens=10,
        cached_tokens=15,
        reasoning_tokens=4,
        input_audio_tokens=1,
        output_audio_tokens=2,
    )


def test_responses_usage():
    """Responses' names."""
    raw = {
        "input_tokens": 7,
        "output_tokens": 3,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens_details": {"reasoning_tokens": 1},
    }
    assert Usage.from_json(raw) == Usage(input_tokens=7, output_tokens=3, cached_tokens=2, reasoning_tokens=1)


def test_embeddings_usage():
    """No output at all."""
    usage = Usage.from_json({"prompt_tokens": 8, "total_tokens": 8})
    assert usage == Usage(input_tokens=8)
    assert usage is not None
    assert usage.total_tokens == 8


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        [],
        "12",
        {"prompt_tokens": None},
        {"prompt_tokens": -3},
        {"prompt_tokens": "9"},
        {"prompt_tokens": True},
        {"prompt_tokens": 1.5},
    ],
)
def test_nonsense_is_no_usage(raw):
    """What cannot be counted is absent, not zero."""
    assert Usage.from_json(raw) is None


def test_explicit_zero_is_a_usage():
    """Zero reported is known to be zero."""
    assert Usage.from_json({"prompt_tokens": 0, "completion_tokens": 0}) == Usage()


def test_a_part_is_never_more_than_its_whole():
    """More cached than read would give money back."""
    usage = Usage.from_json(
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 50}}
    )
    assert usage == Usage(input_tokens=5, output_tokens=1, cached_tokens=5)


def test_usages_add_up():
    """Estimated if either is."""
    total = Usage(input_tokens=1, cached_tokens=1) + Usage(output_tokens=2, estimated=True)
    assert total == Usage(input_tokens=1, output_tokens=2, cached_tokens=1, estimated=True)
