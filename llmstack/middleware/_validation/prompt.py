"""Prompt: what of a call is read by a model, and how big it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from llmstack import Call
from llmstack.tokens import TokenCount, count_tokens, texts_of

_PROMPTS: Final = ("messages", "input", "instructions", "prompt", "query")
_DEFINITIONS: Final = ("tools", "functions", "response_format", "text")
_OUTPUT_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")


class Prompt:
    """The prompt of one call; each size is worked out when first asked for."""

    def __init__(self, call: Call) -> None:
        """Take a call."""
        self._params = call.params
        self._model = call.model

    @property
    def present(self) -> bool:
        """True if there is a prompt."""
        return any(name in self._params for name in _PROMPTS)

    @cached_property
    def texts(self) -> list[str]:
        """All texts, without ids and media."""
        return [text for name in _PROMPTS if name in self._params for text in texts_of(self._params[name])]

    @cached_property
    def characters(self) -> int:
        """Characters of all texts."""
        return sum(map(len, self.texts))

    @cached_property
    def size(self) -> int:
        """Bytes of everything, media included, in UTF-8."""
        return sum(_bytes(text) for name in _PROMPTS if name in self._params for text in _strings(self._params[name]))

    @cached_property
    def most_tokens(self) -> int:
        """What the tokens cannot exceed: each is at least a byte. Cheap."""
        ids = sum(_token_ids(self._params[name]) for name in ("input", "prompt") if name in self._params)
        return sum(map(_bytes, self.texts)) + 16 * len(self.texts) + ids + len(self._definitions)

    @cached_property
    def _definitions(self) -> str:
        """Tools and formats as the JSON that they are sent as; empty if there are none, or they cannot be sent."""
        defined = [self._params[name] for name in _DEFINITIONS if self._params.get(name)]
        try:
            return json.dumps(defined, default=str) if defined else ""
        except (ValueError, TypeError, RecursionError):  # the SDK will say so
            return ""

    @cached_property
    def tokens(self) -> TokenCount:
        """Tokens of the texts, and of the definitions of tools and formats."""
        counts = [count_tokens(self._params[name], self._model) for name in _PROMPTS if name in self._params]
        ids = sum(_token_ids(self._params[name]) for name in ("input", "prompt") if name in self._params)
        defined = self._definitions
        more = count_tokens(defined, self._model).tokens if defined else 0
        estimated = bool(defined) or any(count.estimated for count in counts)  # how they are put to it is not told
        return TokenCount(sum(count.tokens for count in counts) + more + ids, estimated)

    @property
    def output_limit(self) -> tuple[str, int] | None:
        """The parameter that limits the answer, and its number of tokens; None if nothing does."""
        for name in _OUTPUT_LIMITS:
            value = self._params.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return name, value
        return None


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            if not isinstance(item, int):
                yield from _strings(item)


def _token_ids(value: Any) -> int:
    """How many token ids a prompt is given as."""
    if not isinstance(value, (list, tuple)):
        return 0
    return sum(1 if isinstance(item, int) else _token_ids(item) for item in value)
