"""Prices: what tokens cost, by a program's own table or the published one.

    from llmstack.prices import Prices

    Prices().cost("gpt-5-mini", usage)                                             # as published
    Prices({"my-*": {"input": "0.20", "output": "0.80"}}).cost("my-llama", usage)  # dollars for a million tokens

The published prices come with the package genai-prices, which is imported when one is first asked for; they are never
fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any, Final, Self

from llmstack._core.usage import Usage

__all__ = ["ModelPrice", "Prices"]

_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """What a model costs: US dollars for a million tokens.

    Attributes:
        input: Tokens read.
        output: Tokens written.
        cached: Tokens read from the provider's prompt cache; None if they cost what others do.
        cache_write: Tokens written to it; None if they cost what others do.
        input_audio: Audio read; None if it costs what text does.
        output_audio: Audio written; None if it costs what text does.
        input_image: Pictures read; None if they cost what text does.
        request: US dollars for each request.
    """

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cached: Decimal | None = None
    cache_write: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None
    input_image: Decimal | None = None
    request: Decimal = Decimal(0)

    @classmethod
    def of(cls, given: ModelPrice | Mapping[str, Any]) -> ModelPrice | Self:
        """A price as a program or a config gives it: numbers as text, whole numbers or `Decimal`.

        Raises:
            ValueError: If a name or an amount cannot be.
        """
        if isinstance(given, ModelPrice):
            return given
        known = {field.name for field in fields(cls)}
        amounts: dict[str, Decimal] = {}
        for name, value in given.items():
            if name not in known:
                raise ValueError(f"a price has no {name!r}; it has: {', '.join(sorted(known))}")
            try:
                # A float in a config file means the number that was written, not the nearest binary one.
                amounts[name] = Decimal(str(value))
            except InvalidOperation as error:
                raise ValueError(f"the price {name} = {value!r} is no number of dollars") from error
            if not amounts[name].is_finite() or amounts[name] < 0:
                raise ValueError(f"the price {name} = {value!r} is no number of dollars")
        return cls(**amounts)

    def cost(self, usage: Usage) -> Decimal:
        """What a usage costs, in US dollars, exactly."""
        text_in, text_out = usage.input_tokens, usage.output_tokens
        total = Decimal(0)
        for price, tokens in (
            (self.cached, usage.cached_tokens),
            (self.cache_write, usage.cache_write_tokens),
            (self.input_audio, usage.input_audio_tokens),
            (self.input_image, usage.input_image_tokens),
        ):
            if price is not None and tokens:
                counted = min(tokens, text_in)
                total += price * counted
                text_in -= counted
        if self.output_audio is not None:
            counted = min(usage.output_audio_tokens, text_out)
            total += self.output_audio * counted
            text_out -= counted
        return (total + self.input * text_in + self.output * text_out) / _MILLION + self.request


class Prices:
    """A program's own prices, and the published ones where it has none.

    Args:
        own: Prices by model; a pattern such as ``"my-*"`` is for all that fit it, and goes after exact names.

    Raises:
        ValueError: If a price cannot be.
    """

    def __init__(self, own: Mapping[str, ModelPrice | Mapping[str, Any]] | None = None) -> None:
        try:
            self._own = {model: ModelPrice.of(price) for model, price in (own or {}).items()}
        except ValueError as error:
            raise ValueError(f"prices: {error}") from error

    def cost(self, model: str, usage: Usage, *, host: str = "") -> Decimal | None:
        """What a usage costs.

        Args:
            model: The model, as it was asked for or as the provider names it.
            usage: The tokens; its `service_tier` may have prices of its own.
            host: Where it was asked, such as ``"api.openai.com"``: a provider's own prices go before those of whoever
                made the model.

        Returns:
            US dollars; None if nobody knows.
        """
        own = self._own.get(model) or next((p for name, p in self._own.items() if fnmatchcase(model, name)), None)
        if own is not None:
            return own.cost(usage)
        from llmstack._published_prices import published_cost

        return published_cost(model, usage, host)
