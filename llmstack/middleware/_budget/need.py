"""Need: what a call may take at most, before it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from math import ceil
from typing import Any, Final

from llmstack import Call, Usage
from llmstack.tokens import TokenCount, count_tokens, texts_of

GENERATING: Final = frozenset(
    {
        *("chat.completions", "completions", "responses", "responses.compact", "embeddings", "moderations"),
        *("audio.speech", "audio.transcriptions", "audio.translations"),
        *("images.generations", "images.edits", "images.variations"),
        *("videos", "videos.edits", "videos.extensions", "videos.remix"),
    }
)
"""Endpoints whose POSTs are billed by what they do."""

_WRITING: Final = frozenset({"chat.completions", "completions", "responses", "responses.compact"})

_MOST_OUTPUT: Final = (
    # What a model writes in one answer at most: https://platform.openai.com/docs/models
    (("gpt-5*-chat*", "gpt-4o*", "chatgpt-4o*"), 16_384),
    (("gpt-5*", "codex-*"), 128_000),
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
    return Usage(input_tokens=_asked(call.params), output_tokens=_answered(call, assumed), estimated=True)


def observed(call: Call, answer: str) -> Usage:
    """What a call took of which only the request and a part of the answer are known."""
    written = count_tokens(answer, call.model).tokens if answer else 0
    return Usage(input_tokens=_counted(call).tokens, output_tokens=written, estimated=True)


def _counted(call: Call) -> TokenCount:
    counts = [count_tokens(value, call.model) for name, value in call.params.items() if name in _READ]
    return TokenCount(sum(count.tokens for count in counts), any(count.estimated for count in counts))


_READ: Final = frozenset(
    {
        *("messages", "input", "instructions", "prompt", "tools", "functions", "response_format", "text", "prediction"),
        "suffix",
    }
)
"""Parameters that a model reads."""


def _asked(params: Mapping[str, Any]) -> int:
    """A number of tokens that what is asked does not exceed; it takes no more than a look at each text's length."""
    size = sum(_bytes(text) for name, value in params.items() if name in _READ for text in texts_of(value))
    tokens = ceil(size / _LEAST_BYTES) + _PER_PART
    for name in ("messages", "input"):
        value = params.get(name)
        if isinstance(value, (list, tuple)):
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
    if call.endpoint not in _WRITING:
        return 0
    most_of_one = _limit_of(call)
    if most_of_one is None:
        most_of_one = assumed if assumed is not None else _model_limit(call.model or "")
    return most_of_one * max(_whole(call.params.get("n")) or 1, _whole(call.params.get("best_of")) or 1)


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
