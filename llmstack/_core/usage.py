"""Usage: how many tokens a reply cost, read from any endpoint's usage object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self, TypeGuard


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
        characters: Characters read aloud, where these are what is billed; no provider reports them.
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
    characters: int = 0
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
        if not is_object(body):
            return None
        counts = _counts(body.get("usage"))
        if counts is None:
            return None
        tier, output = body.get("service_tier"), body.get("output")
        if isinstance(tier, str):
            counts["service_tier"] = tier
        if isinstance(output, list):
            made = [item.get("type") for item in output if is_object(item)]
            counts["web_searches"] = made.count("web_search_call")
            counts["file_searches"] = made.count("file_search_call")
        return cls(**counts)

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
        counts = _counts(raw)
        return None if counts is None else cls(**counts)


_COUNTS = tuple(field.name for field in fields(Usage) if field.name not in ("service_tier", "estimated"))


_READ: Final = {
    "cached_tokens": "cached_tokens",
    "audio_tokens": "input_audio_tokens",
    "image_tokens": "input_image_tokens",
    "cache_write_tokens": "cache_write_tokens",
}
_WRITTEN: Final = {
    "reasoning_tokens": "reasoning_tokens",
    "audio_tokens": "output_audio_tokens",
    "image_tokens": "output_image_tokens",
}
"""Parts of what was read and written: the API's names, and ours."""


def _counts(raw: Any) -> dict[str, Any] | None:
    """The counts of a usage object that are not 0; None if it has none that can be used."""
    if not is_object(raw):
        return None
    read = _count(raw, "prompt_tokens", "input_tokens")
    written = _count(raw, "completion_tokens", "output_tokens")
    seconds = _count(raw, "seconds")
    if read is None and written is None and seconds is None:
        return None
    counts: dict[str, Any] = {"input_tokens": read or 0, "output_tokens": written or 0, "seconds": seconds or 0}
    if read:
        counts |= _parts(raw, ("prompt_tokens_details", "input_tokens_details", "input_token_details"), _READ, read)
    if written:
        names = ("completion_tokens_details", "output_tokens_details", "output_token_details")
        counts |= _parts(raw, names, _WRITTEN, written)
    return counts


def is_object(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a JSON value is an object."""
    return type(value) is dict or (value is not None and isinstance(value, Mapping))  # the last takes long


def _count(raw: Mapping[Any, Any], *names: str) -> int | None:
    for name in names:
        value = raw.get(name)
        if value is None:
            continue
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if isinstance(value, float) and value >= 0 and value.is_integer():
            return int(value)
    return None


def _parts(raw: Mapping[Any, Any], where: tuple[str, ...], names: Mapping[str, str], whole: int) -> dict[str, int]:
    """Of the first of some details that are there: the parts by our names, none more than the whole."""
    found: dict[str, int] = {}
    for name in where:
        details = raw.get(name)
        if is_object(details):
            for theirs, ours in names.items():
                # Most parts are 0, in each answer there is.
                count = _count(details, theirs) if details.get(theirs) else None
                if count:
                    found[ours] = min(count, whole)
            break
    return found
