"""The beginning of an answer, read in one step where it is an ordinary one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llmstack.transports.chunked import Chunked, Sized

__all__ = ["ODD", "Fields", "Head", "head_of"]

_status: Final = re.compile(rb"HTTP/1\.1 200 ([\t !-~]*)\r\n").match
_fields: Final = re.compile(
    r"^([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*([!-~](?:[ \t!-~]*[!-~])?|)[ \t]*\r$", re.MULTILINE
).findall
"""A header field of plain ASCII on a line of its own (RFC 9112, section 5); what else is allowed is left to others."""

Fields = Sequence[tuple[str, str]] | Sequence[tuple[bytes, bytes]]
"""Headers as they came: text, or the bytes that some HTTP libraries tell."""

ODD: Final = frozenset({"upgrade", "set-cookie", "trailer", "location"})
"""Headers that mean more than themselves: the SDK's HTTP client sees to them."""


@dataclass(frozen=True, slots=True)
class Head:
    """The status line and headers of an answer "200 OK".

    Attributes:
        fields: The headers as they came.
        headers: The same by name in lower case.
        reason: What the status line says besides.
        body: Takes the frames off the body.
        keeps: True if the connection can be used again afterwards.
        after: Where in the bytes the body begins.
    """

    fields: list[tuple[str, str]]
    headers: dict[str, str]
    reason: bytes
    body: Chunked | Sized
    keeps: bool
    after: int


def head_of(data: bytes) -> Head | None:
    """Read the beginning of an answer.

    Args:
        data: Bytes that hold the whole of it.

    Returns:
        The head; None if it is no plain "200 OK" with a body that says how long it is.
    """
    status = _status(data)
    end = data.find(b"\r\n\r\n")
    if status is None or end < 0:
        return None
    # Whatever the bytes are: what is not ASCII is no field.
    block = data[status.end() : end + 2].decode("latin-1")
    fields = _fields(block)
    if len(fields) != block.count("\n"):
        return None
    headers: dict[str, str] = {name.lower(): value for name, value in fields}
    if len(headers) != len(fields):  # some have several values
        headers = _joined(fields)
    body = _body(headers)
    connection = headers.get("connection", "keep-alive").lower()
    if body is None or connection not in ("keep-alive", "close") or not ODD.isdisjoint(headers):
        return None
    return Head(fields, headers, status[1], body, connection == "keep-alive", end + 4)


def _joined(fields: list[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in ((name.lower(), value) for name, value in fields):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _body(headers: dict[str, str]) -> Chunked | Sized | None:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        return Chunked() if coding.lower() == "chunked" and length is None else None
    if length is None or not length.isdecimal() or len(length) > 18:  # noqa: PLR2004 - more than there are bytes
        return None
    return Sized(int(length))
