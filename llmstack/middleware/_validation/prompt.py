"""Prompt: what of a call is read by a model, and how big it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel

from llmstack import Call
from llmstack.tokens import TokenCount, count_tokens, texts_of

_PROMPTS: Final = ("messages", "input", "instructions", "prompt", "query")
_DEFINITIONS: Final = ("tools", "functions", "response_format", "text")
_ALL: Final = (*_PROMPTS, *_DEFINITIONS)
_OUTPUT_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")

_WIDEST: Final = 12
"""Bytes of one character: four in UTF-8, twelve in JSON that writes it as two escapes."""
_AROUND: Final = 32
"""Bytes around one value: quotes, separators, what is counted for a message; more than any short number has."""
_SHORT: Final = frozenset({bool, float})
_BIG: Final = 10**20
_DEEPEST: Final = 64
_ENDLESS: Final = 1 << 62


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

    @property
    def very_most_tokens(self) -> int:
        """What `most_tokens` cannot exceed. Very cheap."""
        params = self._params
        return sum(_extent(params[name], 0) for name in _ALL if name in params)

    @cached_property
    def most_tokens(self) -> int:
        """What the tokens cannot exceed: each is at least a byte. Cheap."""
        ids = sum(_token_ids(self._params[name]) for name in ("input", "prompt") if name in self._params)
        prompts = [self._params[name] for name in _PROMPTS if name in self._params]
        messages = sum(1 + len(prompt) for prompt in prompts if isinstance(prompt, (list, tuple)))  # also without texts
        return sum(map(_bytes, self.texts)) + 16 * (len(self.texts) + messages) + ids + len(self._definitions)

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


def _extent(value: Any, depth: int) -> int:
    """Bytes that a value cannot exceed, as text or as JSON, with room for what is around a text."""
    cls = type(value)
    characters = more = 0
    if cls is str:
        return _WIDEST * len(value) + _AROUND
    if cls is dict and depth < _DEEPEST:
        for name, item in value.items():
            if type(item) is str:
                characters += len(item)
            else:
                more += _extent(item, depth + 1)
            if type(name) is not str:
                return _ENDLESS
            characters += len(name)
        return _WIDEST * characters + _AROUND * (1 + len(value)) + more
    if cls is list and depth < _DEEPEST:
        for item in value:
            more += _extent(item, depth + 1)
        return _AROUND + more
    if value is None or cls in _SHORT or (cls is int and -_BIG < value < _BIG):
        return _AROUND
    return _ENDLESS  # what it will be is not known here


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, BaseModel):
        yield from _strings(value.model_dump(mode="json", exclude_unset=True, by_alias=True))
    elif isinstance(value, (list, tuple)):
        for item in value:
            if not isinstance(item, int):
                yield from _strings(item)


def _token_ids(value: Any) -> int:
    """How many token ids a prompt is given as."""
    if not isinstance(value, (list, tuple)):
        return 0
    return sum(1 if isinstance(item, int) else _token_ids(item) for item in value)
