"""Published prices: those of the package genai-prices, asked once for each model."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

from llmstack._core.usage import Usage

_MILLION: Final = 1_000_000

_Rates = tuple[Decimal, Decimal, Decimal]
"""US dollars for a token read, read from the provider's cache, and written; times a million."""


def published_cost(model: str, usage: Usage, host: str) -> Decimal | None:
    """What a usage costs as published.

    Args:
        model: The model.
        usage: The tokens.
        host: Where it was asked.

    Returns:
        US dollars; None if nobody knows.
    """
    if usage.input_audio_tokens or usage.output_audio_tokens:
        missing = next((sound for pattern, sound in _SOUND.items() if fnmatchcase(model, pattern)), None)
        if missing is not None:
            return _with_sound(model, usage, host, *missing)
    # Prices may change with the day.
    rates = _flat_rates(model, host, usage.service_tier, datetime.now(UTC).date()) if _is_plain(usage) else None
    if rates is None:
        return _full_cost(model, usage, host)
    read, cached, written = rates
    fresh = usage.input_tokens - usage.cached_tokens
    return (read * fresh + cached * usage.cached_tokens + written * usage.output_tokens) / _MILLION


_SOUND: Final = {
    # Where the package has prices of text only. https://platform.openai.com/docs/pricing: sound read and written.
    "gpt-4o-audio-preview*": (Decimal(40), Decimal(80)),
    "gpt-4o-mini-audio-preview*": (Decimal(10), Decimal(20)),
}


def _with_sound(model: str, usage: Usage, host: str, heard: Decimal, spoken: Decimal) -> Decimal | None:
    text = usage.replace(
        input_tokens=usage.input_tokens - usage.input_audio_tokens,
        output_tokens=usage.output_tokens - usage.output_audio_tokens,
        cached_tokens=min(usage.cached_tokens, usage.input_tokens - usage.input_audio_tokens),
        input_audio_tokens=0,
        output_audio_tokens=0,
    )
    cost = published_cost(model, text, host)
    sound = heard * usage.input_audio_tokens + spoken * usage.output_audio_tokens
    return None if cost is None else cost + sound / _MILLION


def _is_plain(usage: Usage) -> bool:
    """Whether it has only what is billed by three rates."""
    return not (
        usage.input_audio_tokens
        or usage.output_audio_tokens
        or usage.input_image_tokens
        or usage.output_image_tokens
        or usage.cache_write_tokens
        or usage.seconds
        or usage.characters
        or usage.web_searches
        or usage.file_searches
    )


@lru_cache(maxsize=1024)
def _flat_rates(model: str, host: str, tier: str, _day: date) -> _Rates | None:
    """The rates of a model whose price does not depend on how much is read; None for all others."""
    found = _calculated(model, Usage(input_tokens=1, service_tier=tier), host)
    if found is None:
        return None
    price = found.model_price
    read, written = getattr(price, "input_mtok", None), getattr(price, "output_mtok", None)
    cached = getattr(price, "cache_read_mtok", None)
    cached = read if cached is None else cached
    written = Decimal(0) if written is None else written
    if isinstance(read, Decimal) and isinstance(cached, Decimal) and isinstance(written, Decimal):
        return read, cached, written
    return None


def _full_cost(model: str, usage: Usage, host: str) -> Decimal | None:
    found = _calculated(model, usage, host)
    return None if found is None else found.total_price


def _calculated(model: str, usage: Usage, host: str) -> Any:
    """What genai-prices makes of it; None if it knows no price."""
    import genai_prices

    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "output_audio_tokens": usage.output_audio_tokens,
        "input_image_tokens": usage.input_image_tokens,
        "output_image_tokens": usage.output_image_tokens,
        "audio_seconds": usage.seconds,
        "input_characters": usage.characters,
        "input_audio_seconds": usage.seconds,
        "web_searches": usage.web_searches,
        "storage_searches": usage.file_searches,
    }
    # Parts that overlap, such as audio read from the cache, are told apart by no usage object: the dearer price counts.
    if usage.cached_tokens and (usage.input_audio_tokens or usage.input_image_tokens):
        counts["cache_read_tokens"] = 0
    if usage.cached_tokens and usage.cache_write_tokens:
        counts["cache_write_tokens"] = 0
    priced = genai_prices.Usage(**{name: count for name, count in counts.items() if count})
    context = {"service_tier": usage.service_tier} if usage.service_tier else None
    # The provider at that address, else whoever makes models of such a name, else OpenAI.
    places = [{"provider_api_url": f"https://{host}/"}] if host else []
    for where in (*places, {}, {"provider_id": "openai"}):
        try:
            return genai_prices.calc_price(priced, model, price_context=context, **where)  # type: ignore[call-overload]
        except (LookupError, ValueError):
            continue
    return None
