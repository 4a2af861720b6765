"""Server-sent events: bytes to events and back, fed by the caller and never reading by itself.

The format is the WHATWG one (https://html.spec.whatwg.org/multipage/server-sent-events.html); where the SDK's decoder
differs from it, the SDK is followed, because its users see its events. It differs in that a byte-order mark is not
skipped, that an event with empty data is dispatched if it has a name, an id or a retry, that the id sticks and so a
further blank line dispatches again, and that `retry` is whatever `int()` accepts.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

__all__ = ["Decoder", "ServerSentEvent", "encode"]


_named: Final = re.compile(r"^event: (.+)\ndata: (.*)\n\n", re.MULTILINE).findall
"""Name and data of all events that have just these."""


class ServerSentEvent(NamedTuple):
    """One event of a stream, with the attributes of `openai._streaming.ServerSentEvent`.

    Attributes:
        event: The event's name, None if it has none.
        data: The data lines, joined by newlines.
        id: The last event id of the stream so far, None if there was none.
        retry: The reconnection time in milliseconds, None if not given.
    """

    event: str | None = None
    data: str = ""
    id: str | None = None
    retry: int | None = None

    def json(self) -> Any:
        """Parse the data as JSON, with the standard library so that its exceptions are the SDK's.

        Returns:
            The parsed value.

        Raises:
            json.JSONDecodeError: The data is not JSON.
        """
        return json.loads(self.data)

    def __repr__(self) -> str:
        """Show everything but the data, which is the users' text and must not reach a log by accident."""
        return (
            f"ServerSentEvent(event={self.event!r}, data=<{len(self.data)} chars>, id={self.id!r}, retry={self.retry})"
        )


class Decoder:
    """Turns bytes, split anywhere, into events: the same ones as the SDK's `SSEDecoder().iter_bytes`.

    A line that is not UTF-8 raises UnicodeDecodeError. Since the SDK yields the events before that line first, the
    events of the same `feed` are returned and the error is raised by the next call; a failed decoder stays failed.
    """

    __slots__ = ("_data", "_event", "_failure", "_id", "_partial", "_retry", "_skip_lf")

    def __init__(self) -> None:
        """Start at the beginning of a stream."""
        self._partial: list[bytes] = []  # pieces of a line whose end has not come
        self._skip_lf = False  # the last byte was a CR: an LF now belongs to it
        self._failure: UnicodeDecodeError | None = None
        # the event under construction
        self._event: str | None = None
        self._data: list[str] = []
        self._id: str | None = None
        self._retry: int | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes of the stream.

        Parameters:
            data: Bytes, split from the stream at any place.

        Returns:
            The events that these bytes completed.

        Raises:
            UnicodeDecodeError: A line is not UTF-8 and no event came before it in these bytes.
        """
        if self._failure is not None:
            raise self._failure
        if not data:
            return []
        if self._skip_lf or b"\r" in data:
            data = self._normalised(data)
        if self._partial:
            # Joined once per line, not once per feed, so that a long line in small pieces stays linear.
            self._partial.append(data)
            if b"\n" not in data:
                return []
            data = b"".join(self._partial)
            self._partial.clear()
        cut = data.rfind(b"\n") + 1
        if cut != len(data):
            self._partial.append(data[cut:])
            if not cut:
                return []
            data = data[:cut]
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return self._until_failure(data)
        return self._events(text)

    def end(self) -> list[ServerSentEvent]:
        """Take the end of the stream.

        Returns:
            Always nothing: like the SDK (and the specification), an event without its blank line is dropped.

        Raises:
            UnicodeDecodeError: The unfinished last line, or a line met by the last `feed`, is not UTF-8.
        """
        if self._failure is not None:
            raise self._failure
        b"".join(self._partial).decode()  # the SDK still reads that line, so a broken one still raises
        return []

    def _normalised(self, data: bytes) -> bytes:
        """Make CR and CRLF to LF; a CR at the end may be half a CRLF, whose LF then is dropped next time."""
        if self._skip_lf:
            self._skip_lf = False
            data = data.removeprefix(b"\n")
        if data.endswith(b"\r"):
            self._skip_lf = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _events(self, text: str) -> list[ServerSentEvent]:
        """Return the events of whole lines."""
        if self._event is None and not self._data and self._retry is None and text.endswith("\n\n"):
            alike = self._alike(text)
            if alike is not None:
                return alike
        events: list[ServerSentEvent] = []
        blocks = text.split("\n\n")
        rest = blocks.pop()
        for block in blocks:
            # Otherwise each that has; all else is read line by line.
            if block.startswith("data: ") and "\n" not in block and not (self._data or self._event):
                events.append(ServerSentEvent(None, block[6:], self._id, self._retry))
                self._retry = None
            elif block.startswith("event: ") and not self._data:
                name, _, line = block.partition("\n")
                if line.startswith("data: ") and "\n" not in line:
                    events.append(ServerSentEvent(name[7:] or None, line[6:], self._id, self._retry))
                    self._event = self._retry = None
                else:
                    self._lines(block, events)
                    self._line("", events)
            else:
                self._lines(block, events)
                self._line("", events)
        if rest:
            self._lines(rest[:-1], events)
        return events

    def _alike(self, text: str) -> list[ServerSentEvent] | None:
        """Return the events, in a few operations, if all have the same of the two shapes that OpenAI sends."""
        if text.startswith("data: "):
            pieces = text[6:-2].split("\n\ndata: ")
            if text.count("\n") == 2 * len(pieces):
                return [ServerSentEvent(None, data, self._id) for data in pieces]
        elif text.startswith("event: "):
            named = _named(text)
            if text.count("\n") == 3 * len(named):
                return [ServerSentEvent(name, data, self._id) for name, data in named]
        return None

    def _lines(self, text: str, events: list[ServerSentEvent]) -> None:
        for line in text.split("\n"):
            self._line(line, events)

    def _line(self, line: str, events: list[ServerSentEvent]) -> None:
        """Interpret one line, as the SDK's `SSEDecoder.decode` does."""
        if not line:
            if self._event or self._data or self._id or self._retry is not None:
                events.append(ServerSentEvent(self._event or None, "\n".join(self._data), self._id, self._retry))
                self._event = self._retry = None
                self._data = []
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
        elif field == "id":
            if "\0" not in value:
                self._id = value
        elif field == "retry":
            try:
                self._retry = int(value)
            except ValueError:
                return

    def _until_failure(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events before the line that is not UTF-8, and keep its error for the next call."""
        events: list[ServerSentEvent] = []
        try:
            for line in data[:-1].split(b"\n"):
                self._line(line.decode(), events)
        except UnicodeDecodeError as error:
            self._failure = error
            if not events:
                raise
        return events


def encode(event: ServerSentEvent) -> bytes:
    """Write one event as server-sent-event text; `Decoder` reads it back as the same event.

    Parameters:
        event: The event. A CR or CRLF in its data is a line break to every reader, and comes back as LF.

    Returns:
        The lines of the event and the blank line that ends it, in UTF-8.

    Raises:
        ValueError: The name or id holds a line break, or the id a NUL, which the format cannot carry.
    """
    name, data, last_id, retry = event
    if name is None and last_id is None and retry is None and "\n" not in data and "\r" not in data:
        return f"data: {data}\n\n".encode()
    lines: list[str] = []
    if name is not None:
        lines.append(f"event: {_single(name)}")
    if last_id is not None:
        if "\0" in last_id:
            msg = "an event id cannot hold a NUL"
            raise ValueError(msg)
        lines.append(f"id: {_single(last_id)}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    lines.extend(f"data: {line}" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return "\n".join([*lines, "", ""]).encode()


def _single(value: str) -> str:
    """Refuse a value that would break out of its line, and so could forge fields or whole events."""
    if "\n" in value or "\r" in value:
        msg = "an event's name or id cannot hold a line break"
        raise ValueError(msg)
    return value
