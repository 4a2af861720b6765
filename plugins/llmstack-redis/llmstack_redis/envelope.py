"""Envelope: an entry as the bytes that Redis keeps, checked when it is opened.

A head of fixed length, then the value: mark and version, a checksum of all that follows it, whose it is, three times.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from typing import Final

from llmstack.stores import Entry

__all__ = ["HEAD", "owner", "pack", "unpack", "whose"]

_MARK: Final = b"LSR1"
_FRONT: Final = struct.Struct(">4sI")
_REST: Final = struct.Struct(">16sddd")

HEAD: Final = _FRONT.size + _REST.size
"""Bytes of the head."""


def owner(tenant: str) -> bytes:
    """What stands for a tenant: its name may be personal.

    Args:
        tenant: On whose behalf; empty if on nobody's.
    """
    return hashlib.blake2b(tenant.encode("utf-8", "surrogatepass"), digest_size=16, person=b"llmstack").digest()


def pack(entry: Entry, tenant: bytes) -> bytes:
    """The bytes of an entry.

    Args:
        entry: The entry.
        tenant: What `owner` gives.
    """
    rest = _REST.pack(tenant, entry.stored_at, entry.fresh_until, entry.keep_until)
    return b"".join((_FRONT.pack(_MARK, zlib.crc32(entry.value, zlib.crc32(rest))), rest, entry.value))


def unpack(data: bytes) -> Entry | None:
    """The entry of bytes; None if they are damaged, or something else.

    Args:
        data: What was found.
    """
    if len(data) < HEAD or not data.startswith(_MARK):
        return None
    _, checksum = _FRONT.unpack_from(data)
    if zlib.crc32(memoryview(data)[_FRONT.size :]) != checksum:
        return None
    _, stored_at, fresh_until, keep_until = _REST.unpack_from(data, _FRONT.size)
    if not all(map(math.isfinite, (stored_at, fresh_until, keep_until))):
        return None
    return Entry(data[HEAD:], stored_at, fresh_until, keep_until)


def whose(head: bytes) -> bytes:
    """Whose entry it is, by its head; empty if it is none.

    Args:
        head: The first bytes of what was found.
    """
    if len(head) < HEAD or not head.startswith(_MARK):
        return b""
    found: bytes = _REST.unpack_from(head, _FRONT.size)[0]
    return found
