"""Prices: usage objects as the API sends them, and what they cost, worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack import Usage
from llmstack._published_prices import _calculated, published_cost
from llmstack.prices import ModelPrice, Prices


def chat(read: int, written: int, *, cached: int = 0, reasoning: int = 0, **audio: int) -> dict[str, Any]:
    """The usage of a chat completion."""
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio.get("heard", 0)},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": audio.get("spoken", 0)},
    }


def response(read: int, written: int, *, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """The usage of a response."""
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": read + written,
    }


AZURE = "prod.openai.azure.com"

# Prices of https://platform.openai.com/docs/pricing, in dollars for a million tokens: read / cached / written. The sums
# are tokens times price, over a million.
TABLE: list[tuple[str, str, dict[str, Any], str]] = [
    # 2.50 / 1.25 / 10: 600 * 2.5 + 400 * 1.25 + 500 * 10 = 7000
    ("gpt-4o", "", {"usage": chat(1000, 500, cached=400)}, "0.007"),
    ("gpt-4o-2024-08-06", AZURE, {"usage": chat(1000, 500, cached=400)}, "0.007"),
    # 0.15 / 0.075 / 0.60: 1000 * 0.15 + 2000 * 0.6 = 1350
    ("gpt-4o-mini", "", {"usage": chat(1000, 2000)}, "0.00135"),
    # 872 * 0.15 + 128 * 0.075 + 10 * 0.6 = 130.8 + 9.6 + 6 = 146.4
    ("gpt-4o-mini", AZURE, {"usage": chat(1000, 10, cached=128)}, "0.0001464"),
    # 2.00 / 0.50 / 8.00: 10000 * 2 + 1000 * 8 = 28000
    ("gpt-4.1", "", {"usage": chat(10_000, 1000)}, "0.028"),
    # 0.40 / 0.10 / 1.60: 5000 * 0.4 + 5000 * 0.1 + 1000 * 1.6 = 4100
    ("gpt-4.1-mini", "", {"usage": chat(10_000, 1000, cached=5000)}, "0.0041"),
    # 0.10 / 0.025 / 0.40: 3 * 0.1 + 7 * 0.4 = 3.1
    ("gpt-4.1-nano", "", {"usage": chat(3, 7)}, "0.0000031"),
    # 1.25 / 0.125 / 10: 1000 * 1.25 + 300 * 10 = 4250; hidden reasoning is among what is written
    ("gpt-5", "", {"usage": chat(1000, 300, reasoning=256)}, "0.00425"),
    # 200 * 1.25 + 1800 * 0.125 + 100 * 10 = 250 + 225 + 1000 = 1475
    ("gpt-5-2025-08-07", "", {"usage": response(2000, 100, cached=1800, reasoning=64)}, "0.001475"),
    ("gpt-5", AZURE, {"usage": response(2000, 100, cached=1800, reasoning=64)}, "0.001475"),
    # the flex tier: half: 1000 * 0.625 + 300 * 5 = 2125
    ("gpt-5", "", {"usage": chat(1000, 300), "service_tier": "flex"}, "0.002125"),
    # the priority tier: double: 1000 * 2.5 + 300 * 20 = 8500
    ("gpt-5", "", {"usage": chat(1000, 300), "service_tier": "priority"}, "0.0085"),
    ("gpt-5", "", {"usage": chat(1000, 300), "service_tier": "default"}, "0.00425"),
    # 0.25 / 0.025 / 2: 7 * 0.25 + 3 * 2 = 7.75
    ("gpt-5-mini", "", {"usage": chat(7, 3)}, "0.00000775"),
    # 0.05 / 0.005 / 0.40: 100 * 0.05 + 900 * 0.005 + 50 * 0.4 = 5 + 4.5 + 20 = 29.5
    ("gpt-5-nano", "", {"usage": chat(1000, 50, cached=900)}, "0.0000295"),
    # 15 / - / 120: 100 * 15 + 1000 * 120 = 121500
    ("gpt-5-pro", "", {"usage": response(100, 1000, reasoning=900)}, "0.1215"),
    # 15 / 7.50 / 60: 1000 * 15 + 1000 * 60 = 75000
    ("o1", "", {"usage": chat(1000, 1000, reasoning=800)}, "0.075"),
    # 2 / 0.50 / 8: 500 * 2 + 500 * 0.5 + 2000 * 8 = 17250
    ("o3", "", {"usage": response(1000, 2000, cached=500, reasoning=1900)}, "0.01725"),
    # 1.10 / 0.55 / 4.40: 1000 * 1.1 + 1000 * 4.4 = 5500
    ("o3-mini", "", {"usage": chat(1000, 1000, reasoning=500)}, "0.0055"),
    # 1.10 / 0.275 / 4.40: 600 * 1.1 + 400 * 0.275 + 100 * 4.4 = 660 + 110 + 440 = 1210
    ("o4-mini", "", {"usage": chat(1000, 100, cached=400)}, "0.00121"),
    # and two searches of the web, $10 for a thousand of them
    (
        "o4-mini",
        "",
        {"usage": response(1000, 100, cached=400), "output": [{"type": "web_search_call"}] * 2},
        "0.02121",
    ),
    # 20 / - / 80: 10 * 20 + 10 * 80 = 1000
    ("o3-pro", "", {"usage": response(10, 10)}, "0.001"),
    # 10 / - / 30: 1000 * 10 + 1000 * 30 = 40000
    ("gpt-4-turbo", "", {"usage": chat(1000, 1000)}, "0.04"),
    # 30 / - / 60: 1000 * 30 + 1000 * 60 = 90000
    ("gpt-4", "", {"usage": chat(1000, 1000)}, "0.09"),
    # 0.50 / - / 1.50: 2000 * 0.5 + 2000 * 1.5 = 4000
    ("gpt-3.5-turbo", "", {"usage": chat(2000, 2000)}, "0.004"),
    # 0.02, 0.13, 0.10 for embeddings
    ("text-embedding-3-small", "", {"usage": {"prompt_tokens": 8191, "total_tokens": 8191}}, "0.00016382"),
    ("text-embedding-3-large", "", {"usage": {"prompt_tokens": 1000, "total_tokens": 1000}}, "0.00013"),
    ("text-embedding-3-large", AZURE, {"usage": {"prompt_tokens": 1000, "total_tokens": 1000}}, "0.00013"),
    ("text-embedding-ada-002", "", {"usage": {"prompt_tokens": 1000, "total_tokens": 1000}}, "0.0001"),
    # moderation is free
    ("omni-moderation-latest", "", {"usage": chat(1000, 0)}, "0"),
    # 0.006 a minute
    ("whisper-1", "", {"usage": {"type": "duration", "seconds": 90}}, "0.009"),
    # text 2.50 / 10, sound 40 / 80: 100 * 2.5 + 900 * 40 + 100 * 10 + 400 * 80 = 250 + 36000 + 1000 + 32000 = 69250
    ("gpt-4o-audio-preview", "", {"usage": chat(1000, 500, heard=900, spoken=400)}, "0.06925"),
    # text 5, pictures 10 / 40: 30 * 5 + 20 * 10 + 1056 * 40 = 150 + 200 + 42240 = 42590
    (
        "gpt-image-1",
        "",
        {"usage": {"input_tokens": 50, "output_tokens": 1056, "input_tokens_details": {"image_tokens": 20}}},
        "0.04259",
    ),
]


@pytest.mark.parametrize(("model", "host", "body", "cost"), TABLE)
def test_what_a_usage_costs(model: str, host: str, body: dict[str, Any], cost: str) -> None:
    """As published, exactly."""
    usage = Usage.of_body(body)
    assert usage is not None
    assert Prices().cost(model, usage, host=host) == Decimal(cost)


def test_the_table_has_enough_models() -> None:
    """At least twenty."""
    assert len({model for model, *_ in TABLE}) >= 20


@pytest.mark.parametrize("model", ["my-own-model", "", "../../etc/passwd"])
def test_a_model_that_nobody_knows_has_no_price(model: str) -> None:
    """None, not zero."""
    assert Prices().cost(model, Usage(input_tokens=1)) is None


@given(
    st.sampled_from(["gpt-5-mini", "gpt-4o", "o3", "gpt-4-turbo", "text-embedding-3-small", "gpt-5.4"]),
    st.integers(0, 2_000_000),
    st.integers(0, 200_000),
    st.floats(0, 1),
)
def test_the_quick_way_is_the_long_way(model: str, read: int, written: int, share: float) -> None:
    """Rates that were asked for once give what asking each time would, also where the price rises with the length."""
    usage = Usage(input_tokens=read, output_tokens=written, cached_tokens=int(read * share))
    asked = _calculated(model, usage, "")
    assert asked is not None
    assert published_cost(model, usage, "") == asked.total_price


def test_a_programs_own_price_goes_first() -> None:
    """An exact name before a pattern; numbers as text, whole or decimal."""
    prices = Prices(
        {
            "gpt-5-*": {"input": "1", "output": 2},
            "gpt-5-mini": ModelPrice(input=Decimal(3), output=Decimal(4), cached=Decimal(1), request=Decimal("0.5")),
        }
    )
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000, cached_tokens=500_000)
    assert prices.cost("gpt-5-nano", usage) == 3
    assert prices.cost("gpt-5-mini", usage) == Decimal("6.5")
    assert prices.cost("gpt-4o", usage) == Decimal("11.875")


def test_own_prices_of_sound_and_pictures() -> None:
    """Each part once."""
    price = ModelPrice.of(
        {"input": 1, "output": 2, "cached": "0.5", "input_audio": 10, "output_audio": 20, "input_image": 5}
    )
    usage = Usage(
        input_tokens=100, cached_tokens=10, input_audio_tokens=20, input_image_tokens=30,
        output_tokens=50, output_audio_tokens=40,
    )  # fmt: skip
    assert price.cost(usage) * 1_000_000 == 40 * 1 + 10 * Decimal("0.5") + 20 * 10 + 30 * 5 + 10 * 2 + 40 * 20
