"""Entry: a call as it is recorded, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Answered", "Asked", "Ending", "Entry"]

Ending = Literal["whole", "stopped", "lost", "timeout"]
"""How an answer ended: whole, as far as the program read, with a lost connection, with a time-out."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, scrubbed.

    Attributes:
        endpoint: The API's name for it.
        method: HTTP method.
        path: Path under the base URL, without query.
        query: Query parameters.
        body: The JSON body; None if there is none.
        files: Name, size and SHA-256 of each file sent.
    """

    endpoint: str
    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict, repr=False)
    body: Any = field(default=None, repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back, scrubbed.

    Attributes:
        status: HTTP status; None if no answer came.
        headers: Those of its headers that are kept.
        content: The body's bytes, decompressed; those of a stream as they came.
        stream: True for a stream of events.
        ending: How it ended.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)
    stream: bool = False
    ending: Ending = "whole"


@dataclass(frozen=True, slots=True)
class Entry:
    """A call and its answer."""

    asked: Asked
    answered: Answered
