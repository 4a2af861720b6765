"""Entries: what is kept of an answer, as JSON text, and back.

An entry says which key it is for, so that one that got into another's place is seen, and has a checksum of all that
follows it, so that one that is damaged is. The answer's own text is the last of its fields, taken out as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

from pydantic_core import from_json

from llmstack.middleware._cache.key import VERSION

__all__ = ["LARGEST", "Answer", "Kept", "origin", "packed", "unpacked"]

LARGEST: Final = 4_000_000
"""Bytes of an entry at most; a larger one is neither kept nor read."""

_LONGEST_ID: Final = 200
_FRONT: Final = b'{"version":%d,"check":"' % VERSION
_BACK: Final = b'",'
_REST: Final = len(_FRONT) + 8 + len(_BACK)
"""Where it begins what the checksum is of: CRC-32 in eight hexadecimal digits."""

_BODY: Final = b',"body":'


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that may be given to several calls.

    Attributes:
        content: JSON text.
        request_id: The provider's id of the request that it answered; empty if not known.
        age: Seconds since then.
        stale: True if it is too old.
        read: The JSON value of the text, for the call that it was read for; None if it is not known.
    """

    content: bytes = field(repr=False)
    request_id: str
    age: float = 0.0
    stale: bool = False
    read: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an entry holds.

    Attributes:
        content: JSON text, as it was put in.
        request_id: See `Answer`.
        streamed: True if it was put together from a stream, which may have told no usage.
        read: What its question makes of it; see `llmstack.middleware._cache.question.Question.read`.
    """

    content: bytes = field(repr=False)
    request_id: str
    streamed: bool
    read: Any = field(default=None, repr=False)


def origin(request_id: str | None, *, streamed: bool) -> bytes:
    """Where answers come from, for `packed`: the same for all that one reply brings.

    Args:
        request_id: The provider's id of the request.
        streamed: True if the answer was put together from a stream.
    """
    told = request_id if request_id and _is_id(request_id) else ""
    return b',"request_id":%b,"streamed":%b' % (json.dumps(told).encode(), b"true" if streamed else b"false")


def packed(key: str, content: bytes, whence: bytes, around: tuple[bytes, bytes] = (b"", b"")) -> bytes | None:
    """Make an entry.

    Args:
        key: Its key; it needs no escapes.
        content: The answer's JSON text.
        whence: What `origin` gives.
        around: What stands before and behind `content`, if that is only a part of the text. There may be many entries,
            and most of each is copied once like this.

    Returns:
        Its value; None if it would be too large.
    """
    before, behind = around
    head = b'"key":"%b"%b%b%b' % (key.encode(), whence, _BODY, before)
    tail = b"%b}" % behind
    check = crc32(tail, crc32(content, crc32(head)))
    value = b"%b%08x%b%b%b%b" % (_FRONT, check, _BACK, head, content, tail)
    return value if len(value) <= LARGEST else None


def unpacked(key: str, value: bytes) -> tuple[bytes, str, bool] | None:
    """Read an entry, which its question is to judge.

    Returns:
        The first three of what `Kept` has; None if it is damaged, too large, or none of ours.
    """
    if len(value) > LARGEST or not value.startswith(_FRONT):
        return None
    rest = value[_REST:]
    start = rest.find(_BODY)
    # What is compared is what would be written, so there is no second way to write it.
    if start < 0 or value[len(_FRONT) : _REST] != b"%08x%b" % (crc32(rest), _BACK):
        return None
    named = b'"key":"%b"' % key.encode()
    told = _told(rest[len(named) : start]) if rest.startswith(named) else None
    return None if told is None else (rest[start + len(_BODY) : -1], *told)


@lru_cache(maxsize=256)
def _told(whence: bytes) -> tuple[str, bool] | None:
    """The request's id, and whether it was streamed, of what `origin` has made; None if it is something else.

    All entries of a batch have the same, and so has one that is served again and again.
    """
    try:
        found = from_json(b"{%b}" % whence[1:])
    except ValueError:
        return None
    request_id = found.get("request_id")
    if not isinstance(request_id, str) or not (request_id == "" or _is_id(request_id)):
        return None
    return request_id, found.get("streamed") is True


def _is_id(text: str) -> bool:
    """Whether it may stand in a header."""
    return len(text) <= _LONGEST_ID and text.isascii() and text.isprintable()
