"""What the server received, for tests to ask about."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived. Its ``repr`` shows neither headers nor body.

    Attributes:
        method: The HTTP method.
        path: The path, percent-decoded, without the query.
        query: The query parameters; of a repeated one the last.
        headers: The headers, names in lower case; of a repeated one the values joined by ``", "``.
        body: The body's bytes.
        at: When it had arrived, in seconds of `time.monotonic`.
        connection: The number of the TCP connection it came by, from 1.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: float = field(repr=False)
    connection: int

    @property
    def json(self) -> Any:
        """The body parsed as JSON on each access, or ``None`` if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Recorder:
    """Counts and records shared by the server's thread and the tests'."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[ReceivedRequest] = []
        self._disconnects = 0
        self._open: set[int] = set()
        self._connections = 0
        self._answers = 0

    @property
    def requests(self) -> list[ReceivedRequest]:
        with self._changed:
            return list(self._requests)

    @property
    def disconnects(self) -> int:
        with self._changed:
            return self._disconnects

    @property
    def open_connections(self) -> int:
        with self._changed:
            return len(self._open)

    def clear(self) -> None:
        """Forget the requests and disconnects; connections that are open stay counted."""
        with self._changed:
            self._requests.clear()
            self._disconnects = 0
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def next_answer(self) -> int:
        """The number of the next answer, from 1; it is never given twice."""
        with self._changed:
            self._answers += 1
            return self._answers

    def received(self, request: ReceivedRequest) -> None:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def connected(self) -> int:
        """A connection opened; its number."""
        with self._changed:
            self._connections += 1
            self._open.add(self._connections)
            self._changed.notify_all()
            return self._connections

    def disconnected(self, connection: int, *, cut_short: bool) -> None:
        """A connection closed; ``cut_short`` if the client closed it before the answer was complete."""
        with self._changed:
            self._open.discard(connection)
            self._disconnects += cut_short
            self._changed.notify_all()
