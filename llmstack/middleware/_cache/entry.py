"""Entries: what is kept of an answer, as JSON text, and back.

An entry says which key it is for, so that one that got into another's place is seen; the answer's own text is the last
of its fields, taken out as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json

from llmstack.middleware._cache.key import VERSION

__all__ = ["LARGEST", "Answer", "Kept", "packed", "unpacked"]

LARGEST: Final = 4_000_000
"""Bytes of an entry at most; a larger one is neither kept nor read."""

_LONGEST_ID: Final = 200
_BODY: Final = b',"body":'


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that may be given to several calls.

    Attributes:
        content: JSON text.
        request_id: The provider's id of the request that it answered; empty if not known.
        age: Seconds since then.
        stale: True if it is too old.
    """

    content: bytes = field(repr=False)
    request_id: str
    age: float = 0.0
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What an entry holds.

    Attributes:
        body: The JSON value, this reader's own.
        content: The same as text.
        request_id: See `Answer`.
        streamed: True if it was put together from a stream, which may have told no usage.
    """

    body: Any = field(repr=False)
    content: bytes = field(repr=False)
    request_id: str
    streamed: bool


def packed(key: str, content: bytes, request_id: str | None, *, streamed: bool) -> bytes | None:
    """Make an entry.

    Args:
        key: Its key.
        content: The answer's JSON text.
        request_id: The provider's id of the request.
        streamed: True if the answer was put together from a stream.

    Returns:
        Its value; None if it would be too large.
    """
    told = request_id if request_id and _is_id(request_id) else ""
    head = json.dumps({"version": VERSION, "key": key, "request_id": told, "streamed": streamed}, separators=(",", ":"))
    value = b"".join((head[:-1].encode(), _BODY, content.strip(), b"}"))
    return value if len(value) <= LARGEST else None


def unpacked(key: str, value: bytes) -> Kept | None:
    """Read an entry; None if it is damaged, too large, or none of ours."""
    if len(value) > LARGEST:
        return None
    try:
        found = from_json(value)
    except (ValueError, TypeError):
        return None
    if not isinstance(found, dict) or found.get("version") != VERSION or found.get("key") != key:
        return None
    start = value.find(_BODY)
    request_id = found.get("request_id")
    if start < 0 or not isinstance(request_id, str) or not (request_id == "" or _is_id(request_id)):
        return None
    content = bytes(value[start + len(_BODY) : -1])
    return Kept(found.get("body"), content, request_id, found.get("streamed") is True)


def _is_id(text: str) -> bool:
    """Whether it may stand in a header."""
    return len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()
