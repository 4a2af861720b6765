"""Need: what a call may take at most, before it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from math import ceil
from typing import Any, Final

from llmstack import Call, Usage
from llmstack.tokens import count_tokens, texts_of

GENERATING: Final = frozenset(
    {
        *("chat.completions", "completions", "responses", "responses.compact"),
        *("decisions", "embeddings", "moderations"),
        *("audio.speech", "audio.transcriptions", "audio.translations"),
        *("images.generations", "images.edits", "images.variations"),
        *("videos", "videos.edits", "videos.extensions", "videos.remix"),
    }
)
"""Endpoints whose POSTs are billed by what they do."""

_WRITING: Final = frozenset({"chat.completions", "completions", "responses", "responses.compact", "decisions"})

_MOST_OUTPUT: Final = (
    # What a model writes in one answer at most: https://platform.openai.com/docs/models
    (("gpt-5*-chat*", "gpt-4o*", "chatgpt-4o*"), 16_384),
    (("gpt-5*", "gpt-6*", "codex-*"), 128_000),
    (("o1*", "o3*", "o4*"), 100_000),
    (("gpt-4.1*",), 32_768),
    (("gpt-4-32k*", "gpt-4-0*", "gpt-4"), 8_192),
    (("gpt-4*", "gpt-3.5*"), 4_096),
)
_MOST_OF_OTHERS: Final = 32_768
"""For models that are not known, which would else be unbounded."""

_LEAST_BYTES: Final = 2
"""UTF-8 bytes of a token, at least, on average: English has four and a half, code three, random letters a little over
two."""

_PER_PART: Final = 8
"""Tokens around each message, and around the whole."""

_PER_MEDIUM: Final = 1_600
"""Tokens set aside for a picture, sound or file in a prompt: those of a large picture in high detail."""

_PER_PICTURE: Final = {"low": 408, "medium": 1_584}
_PER_BEST_PICTURE: Final = 6_240
"""Tokens of a picture that is made, in the largest size: https://platform.openai.com/docs/guides/image-generation"""

_SPOKEN: Final = 1_250 / 900
"""Tokens of sound for a character that is read aloud: a minute of 900 characters has 1,250 tokens.
https://platform.openai.com/docs/pricing"""
_SPOKEN_AT_MOST: Final = 2
"""The same, read slowly."""

_MEDIA: Final = frozenset({"image_url", "input_image", "input_audio", "file", "input_file"})
_DATED: Final = re.compile(r"^ft:")


def is_billed(call: Call) -> bool:
    """Whether a call costs anything."""
    return call.method == "POST" and call.endpoint in GENERATING


def most(call: Call, assumed: int | None) -> Usage:
    """The most that a call may take: what it says, counted or estimated with a margin, and the most it may produce.

    Args:
        call: The call.
        assumed: Tokens assumed for an answer that the call does not limit; None for the model's own maximum.
    """
    written = _answered(call, assumed)
    spoken = written if _speaks(call) else 0
    return _usage(call, _asked(call.params), written, spoken)


def observed(call: Call, answer: str) -> Usage:
    """What a call took of which only the request and a part of the answer are known."""
    written = count_tokens(answer, call.model).tokens if answer else 0
    if call.endpoint == _SPEECH:  # sound says nothing of its tokens
        written = ceil(_characters(call) * _SPOKEN)
        return _usage(call, _counted(call), written, written)
    return _usage(call, _counted(call), written, 0)


def _usage(call: Call, read: int, written: int, spoken: int) -> Usage:
    """What a call takes, with what else of it has a price."""
    # Of the tiers only one is dearer, and it is not known before which one serves a call that leaves it open.
    tier = "priority" if call.params.get("service_tier") == "priority" else ""
    return Usage(
        input_tokens=read,
        output_tokens=written,
        output_audio_tokens=spoken,
        output_image_tokens=written if _draws(call) else 0,
        characters=_characters(call),
        service_tier=tier,
        estimated=True,
    )


_SPEECH: Final = "audio.speech"


def _characters(call: Call) -> int:
    """Characters that are read aloud."""
    text = call.params.get("input") if call.endpoint == _SPEECH else None
    return len(text) if isinstance(text, str) else 0


def _speaks(call: Call) -> bool:
    """Whether what is written may be sound, which is dearer."""
    modalities = call.params.get("modalities")
    return call.endpoint == _SPEECH or (isinstance(modalities, (list, tuple)) and "audio" in modalities)


def _draws(call: Call) -> bool:
    """Whether what is made is pictures, which may be dearer, too."""
    return call.endpoint.startswith("images.")


def _counted(call: Call) -> int:
    texts = sum(count_tokens(value, call.model).tokens for name, value in call.params.items() if name in _READ)
    return texts + sum(_numbers(call.params.get(name)) for name in _TOKENS)


_READ: Final = frozenset(
    {
        *("messages", "input", "instructions", "prompt", "tools", "functions", "response_format", "text", "prediction"),
        *("suffix", "questions"),
    }
)
"""Parameters that a model reads."""


_TOKENS: Final = ("prompt", "input")
"""Parameters that may be tokens already: numbers, of one text or of several."""


def _numbers(value: Any) -> int:
    """How many numbers there are in a list, or a list of lists."""
    if not isinstance(value, (list, tuple)):
        return 0
    return sum(_numbers(item) if isinstance(item, (list, tuple)) else isinstance(item, int) for item in value)


def _asked(params: Mapping[str, Any]) -> int:
    """A number of tokens that what is asked does not exceed; it takes no more than a look at each text's length."""
    size = sum(_bytes(text) for name, value in params.items() if name in _READ for text in texts_of(value))
    tokens = ceil(size / _LEAST_BYTES) + _PER_PART + sum(_numbers(params.get(name)) for name in _TOKENS)
    for name in ("messages", "input"):
        value = params.get(name)
        if isinstance(value, (list, tuple)) and not (value and isinstance(value[0], int)):
            tokens += _PER_PART * len(value) + _PER_MEDIUM * _media(value)
    return tokens


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _media(content: Any) -> int:
    """How many pictures, sounds and files there are."""
    if isinstance(content, Mapping):
        return (content.get("type") in _MEDIA) + sum(_media(inner) for inner in content.values() if _holds(inner))
    return sum(_media(inner) for inner in content if _holds(inner)) if isinstance(content, (list, tuple)) else 0


def _holds(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple))


def _answered(call: Call, assumed: int | None) -> int:
    if call.endpoint == _SPEECH:
        return _characters(call) * _SPOKEN_AT_MOST
    many = max(_whole(call.params.get("n")) or 1, _whole(call.params.get("best_of")) or 1)
    if _draws(call):
        return _PER_PICTURE.get(str(call.params.get("quality")), _PER_BEST_PICTURE) * many
    if call.endpoint not in _WRITING:
        return 0
    most_of_one = _limit_of(call)
    if most_of_one is None:
        most_of_one = assumed if assumed is not None else _model_limit(call.model or "")
    return most_of_one * many * _prompts(call)


def _prompts(call: Call) -> int:
    """How many texts are to be completed, each by an answer of its own."""
    prompt = call.params.get("prompt") if call.endpoint == "completions" else None
    if not isinstance(prompt, (list, tuple)):
        return 1
    return max(1, sum(not isinstance(text, int) for text in prompt))


def _limit_of(call: Call) -> int | None:
    """What the call itself allows for an answer."""
    given = [_whole(call.params.get(name)) for name in ("max_completion_tokens", "max_output_tokens", "max_tokens")]
    allowed = [tokens for tokens in given if tokens is not None]
    if not allowed and call.endpoint == "completions":
        return 16  # the API's own default there
    return max(allowed, default=None)


def _model_limit(model: str) -> int:
    name = _DATED.sub("", model).rpartition("/")[2]
    for patterns, tokens in _MOST_OUTPUT:
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return tokens
    return _MOST_OF_OTHERS


def _whole(value: Any) -> int | None:
    """A number of tokens or answers; None if it is none. What the API would refuse is no way around a limit."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
