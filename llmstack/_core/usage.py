"""Usage: how many tokens a reply cost, read from any endpoint's usage object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
        estimated: True if the counts were estimated and not reported by the provider.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """The sum of two usages, estimated if either is."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            input_audio_tokens=self.input_audio_tokens + other.input_audio_tokens,
            output_audio_tokens=self.output_audio_tokens + other.output_audio_tokens,
            input_image_tokens=self.input_image_tokens + other.input_image_tokens,
            estimated=self.estimated or other.estimated,
        )

    def replace(self, **changes: Any) -> Self:
        """A copy with the given fields changed."""
        return replace(self, **changes)

    @classmethod
    def from_json(cls, raw: object) -> Usage | None:
        """Read a usage object as it came from the wire.

        Servers send nonsense here (null, negative numbers, strings, more cached than read): a count that is not a
        non-negative whole number counts as absent, and a part is never more than its whole.

        Args:
            raw: The value of ``usage``; anything at all.

        Returns:
            The usage, or None if `raw` holds no usable input or output count.
        """
        if not isinstance(raw, Mapping):
            return None
        read = _count(raw, "prompt_tokens", "input_tokens")
        written = _count(raw, "completion_tokens", "output_tokens")
        if read is None and written is None:
            return None
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
        )


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
