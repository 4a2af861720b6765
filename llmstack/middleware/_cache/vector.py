"""Vectors: embeddings as the JSON text that they came as, cut out of one answer and put into another.

There may be a hundred of them, each of a thousand numbers: none is made anew of its numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from pydantic_core import from_json

__all__ = ["Vector", "around", "together", "vectors_of"]

_FLOAT: Final = 4
"""Bytes of a number in an embedding that comes as base64."""

_NUMBERS: Final = frozenset({float, int})
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FIELD: Final = b',"embedding":'
_lists = re.compile(rb'"embedding"\s*:\s*(\[[^][]*\])').finditer


@dataclass(frozen=True, slots=True)
class Vector:
    """One embedding.

    Attributes:
        model: The model that made it.
        tokens: Of its input.
        text: The numbers, or their base64, as JSON text.
    """

    model: str
    tokens: int
    text: bytes = field(repr=False)

    @classmethod
    def of(cls, content: bytes) -> Vector | None:
        """A vector from what is kept of it: its text, and what is `around` that; None if it is something else."""
        head, found, rest = content.partition(_FIELD)
        try:
            told = from_json(head + b"}")
        except ValueError:
            return None
        model, tokens = (told.get("model"), told.get("tokens")) if isinstance(told, dict) else (None, None)
        text = rest[:-1]
        if not found or not isinstance(model, str) or type(tokens) is not int or tokens < 0 or not _is_vector(text):
            return None
        return cls(model, tokens, text)


def around(model: str, tokens: int) -> tuple[bytes, bytes]:
    """What is kept before and behind the text of a vector.

    Args:
        model: The model that made it.
        tokens: Of its input.
    """
    return b'{"model":%b,"tokens":%d%b' % (_written(model), tokens, _FIELD), b"}"


@lru_cache(maxsize=16)
def _written(model: str) -> bytes:
    """The name as JSON text: all vectors of an answer, and of most programs, have the same."""
    return json.dumps(model).encode()


def vectors_of(content: bytes, body: Any, count: int) -> list[bytes] | None:
    """The embeddings of an answer in the order of their inputs, as JSON text.

    Args:
        content: The answer.
        body: Its JSON value.
        count: How many there must be.

    Returns:
        None if it is not just as many, each right.
    """
    data = body.get("data") if isinstance(body, dict) and isinstance(body.get("model"), str) else None
    if not isinstance(data, list) or len(data) != count or not all(isinstance(one, dict) for one in data):
        return None
    values = [one.get("embedding") for one in data]
    if all(isinstance(value, str) for value in values):
        texts = [text for text in map(_quoted, values) if text is not None]
    else:
        texts = _cut(content, values) if all(map(_is_numbers, values)) else []
    places = [one.get("index") for one in data]
    if len(texts) != count or set(map(type, places)) != {int}:
        return None
    if places == list(range(count)):  # as they nearly always are
        return texts
    by_place = dict(zip(places, texts, strict=True))
    return [by_place[i] for i in range(count)] if by_place.keys() == set(range(count)) else None


def together(texts: Sequence[bytes], model: str, usage: Any) -> bytes:
    """An answer that has all of these embeddings, in order."""
    data = b",".join([b'{"object":"embedding","index":%d,"embedding":%b}' % one for one in enumerate(texts)])
    rest = json.dumps({"model": model, "usage": usage}, separators=(",", ":"))
    return b'{"object":"list","data":[%b],%b' % (data, rest[1:].encode())


def _cut(content: bytes, values: Sequence[list[float]]) -> list[bytes]:
    """The texts of lists of numbers: as they stand in the answer, if that is plain to see."""
    texts = [found[1] for found in _lists(content)]
    if len(texts) == len(values) and all(from_json(text) == value for text, value in zip(texts, values, strict=True)):
        return texts
    return [json.dumps(value, separators=(",", ":")).encode() for value in values]


def _quoted(value: str) -> bytes | None:
    encoded = value.encode("ascii", "replace")
    return b'"%b"' % encoded if _is_base64(encoded) else None


def _is_vector(text: bytes) -> bool:
    if text[:1] == b'"':
        return text[-1:] == b'"' and _is_base64(text[1:-1])
    try:
        return _is_numbers(from_json(text))
    except ValueError:
        return False


def _is_base64(text: bytes) -> bool:
    """Whether it is base64 of numbers. `base64.b64decode` says the same, and takes four times as long."""
    padding = text.translate(None, _BASE64)
    whole, rest = divmod(len(text), 4)
    if not text or rest or padding not in (b"", b"=", b"==") or not text.endswith(padding):
        return False
    return (3 * whole - len(padding)) % _FLOAT == 0


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and _NUMBERS.issuperset(map(type, value))
