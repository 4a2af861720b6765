"""What an endpoint hands back: a JSON document, a stream of events, or bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event.

    Attributes:
        data: What follows ``data:``; a string goes out as it is, anything else as JSON.
        name: What follows ``event:``; chat completions have none, Responses and Assistants do.
    """

    data: object
    name: str | None = None

    def encode(self) -> bytes:
        data = self.data if isinstance(self.data, str) else json.dumps(self.data, ensure_ascii=False)
        head = f"event: {self.name}\n" if self.name else ""
        return f"{head}data: {data}\n\n".encode()


DONE = Event("[DONE]")


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A JSON document with a status."""

    data: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """A stream of server-sent events, in order."""

    events: tuple[Event, ...]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class BytesAnswer:
    """A body that is not JSON: audio, a file's content, plain text."""

    content: bytes
    content_type: str = "application/octet-stream"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Answer: TypeAlias = JsonAnswer | EventAnswer | BytesAnswer
