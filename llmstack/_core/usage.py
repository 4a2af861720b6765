"""Usage: how many tokens a reply cost, read from any endpoint's usage object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one reply, under one set of names for every endpoint.

    Chat completions say ``prompt_tokens``, Responses say ``input_tokens``; here both are `input_tokens`. All
    counts are whole tokens and never negative. The sub-counts are part of their whole: `cached_tokens` of
    `input_tokens`, `reasoning_tokens` of `output_tokens`, the audio counts of theirs.

    Source: the ``usage`` objects of the OpenAI API reference (chat, responses, embeddings, audio, images).

    Attributes:
        input_tokens: Tokens read, cached ones included.
        output_tokens: Tokens produced, reasoning included.
        cached_tokens: Of the input, those read from the provider's prompt cache.
        reasoning_tokens: Of the output, those spent on hidden reasoning.
        input_audio_tokens: Of the input, audio.
        output_audio_tokens: Of the output, audio.
        input_image_tokens: Of the input, images.
        output_image_tokens: Of the output, images.
        cache_write_tokens: Of the input, those written to the provider's prompt cache.
        seconds: Whole seconds of audio, where that is what is billed.
        web_searches: Searches of the web that the provider made for it.
        file_searches: Searches of stored files that the provider made for it.
        service_tier: The tier that served it, such as ``"flex"``, which may have prices of its own; empty if not told.
        estimated: True if the counts were estimated and not reported by the provider.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    cache_write_tokens: int = 0
    seconds: int = 0
    web_searches: int = 0
    file_searches: int = 0
    service_tier: str = ""
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """The sum of two usages: estimated if either is, of a service tier if both are of that one."""
        counts = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        tier = self.service_tier if self.service_tier == other.service_tier else ""
        return Usage(**counts, service_tier=tier, estimated=self.estimated or other.estimated)

    def replace(self, **changes: Any) -> Self:
        """A copy with the given fields changed."""
        return replace(self, **changes)

    @classmethod
    def of_body(cls, body: object) -> Usage | None:
        """Read the usage of a whole reply: its ``usage`` object, and what else of it has a price.

        Args:
            body: The reply's JSON; anything at all.

        Returns:
            The usage, or None if there is no usable count of tokens or seconds.
        """
        if not isinstance(body, Mapping):
            return None
        usage = cls.from_json(body.get("usage"))
        if usage is None:
            return None
        tier, output = body.get("service_tier"), body.get("output")
        if not (isinstance(tier, str) or isinstance(output, list)):
            return usage
        made = [item.get("type") for item in output if isinstance(item, Mapping)] if isinstance(output, list) else []
        return replace(
            usage,
            service_tier=tier if isinstance(tier, str) else "",
            web_searches=made.count("web_search_call"),
            file_searches=made.count("file_search_call"),
        )

    @classmethod
    def from_json(cls, raw: object) -> Usage | None:
        """Read a usage object as it came from the wire.

        Servers send nonsense here (null, negative numbers, strings, more cached than read): a count that is not a
        non-negative whole number counts as absent, and a part is never more than its whole.

        Args:
            raw: The value of ``usage``; anything at all.

        Returns:
            The usage, or None if `raw` holds no usable count of tokens read or written, or of seconds.
        """
        if not isinstance(raw, Mapping):
            return None
        read = _count(raw, "prompt_tokens", "input_tokens")
        written = _count(raw, "completion_tokens", "output_tokens")
        seconds = _count(raw, "seconds")
        if read is None and written is None:
            return None if seconds is None else cls(seconds=seconds)
        total_in, total_out = read or 0, written or 0
        into = _details(raw, "prompt_tokens_details", "input_tokens_details", "input_token_details")
        out = _details(raw, "completion_tokens_details", "output_tokens_details", "output_token_details")
        return cls(
            input_tokens=total_in,
            output_tokens=total_out,
            cached_tokens=_part(into, "cached_tokens", total_in),
            reasoning_tokens=_part(out, "reasoning_tokens", total_out),
            input_audio_tokens=_part(into, "audio_tokens", total_in),
            output_audio_tokens=_part(out, "audio_tokens", total_out),
            input_image_tokens=_part(into, "image_tokens", total_in),
            output_image_tokens=_part(out, "image_tokens", total_out),
            cache_write_tokens=_part(into, "cache_write_tokens", total_in),
            seconds=seconds or 0,
        )


_COUNTS = tuple(field.name for field in fields(Usage) if field.name not in ("service_tier", "estimated"))


def _count(raw: Mapping[Any, Any], *names: str) -> int | None:
    for name in names:
        value = raw.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if isinstance(value, float) and value >= 0 and value.is_integer():
            return int(value)
    return None


def _details(raw: Mapping[Any, Any], *names: str) -> Mapping[Any, Any]:
    for name in names:
        value = raw.get(name)
        if isinstance(value, Mapping):
            return value
    return {}


def _part(details: Mapping[Any, Any], name: str, whole: int) -> int:
    return min(_count(details, name) or 0, whole)
