"""Reading ``multipart/form-data``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; ``filename`` is ``None`` for a plain field."""

    name: str
    filename: str | None
    content_type: str
    content: bytes


def parse_form(content_type: str, body: bytes) -> Iterator[Part]:
    """The parts of ``body``, in order; ``content_type`` carries the boundary."""
    boundary = _header("content-type", content_type).get_param("boundary")
    if not boundary:
        return
    pieces = (b"\r\n" + body).split(b"\r\n--" + str(boundary).encode())
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = HeaderParser().parsestr(head.decode("utf-8", "replace"))
        yield Part(
            name=str(headers.get_param("name", "", header="content-disposition")).removesuffix("[]"),
            filename=headers.get_filename(),
            content_type=headers.get_content_type(),
            content=content,
        )


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message
