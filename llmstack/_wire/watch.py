"""Watches: they see a reply's bytes go by and can say at the end what the reply was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmstack._core.call import Call
from llmstack._core.reply import Reply
from llmstack._core.usage import Usage
from llmstack._wire.assembly import assembly
from llmstack._wire.sse import Decoder, ServerSentEvent

MAX_KEPT = 64 * 1024 * 1024
"""Bytes of a body that is not streamed as events, but read lazily, that are kept for the layers."""


class EventWatch:
    """Watches a stream of server-sent events."""

    __slots__ = ("_assembly", "_decoder", "_error", "_headers", "_status", "content", "done", "failure")

    def __init__(self, call: Call, status: int, headers: Mapping[str, str], error: Callable[[Any], Exception]) -> None:
        """Watch a reply to `call`; `error` makes the exception for an error event's payload."""
        choices = call.params.get("n")
        self._decoder = Decoder()
        self._assembly = assembly(call.endpoint, choices=choices if isinstance(choices, int) else 1)
        self._status = status
        self._headers = headers
        self._error = error
        self.content = False
        self.done = False
        self.failure: Exception | None = None

    def feed(self, data: bytes) -> Sequence[ServerSentEvent]:
        """Take bytes, return the events they completed."""
        return self._note(self._decoder.feed(data))

    def end(self) -> Sequence[ServerSentEvent]:
        """The bytes have ended."""
        return self._note(self._decoder.end())

    def _note(self, events: list[ServerSentEvent]) -> list[ServerSentEvent]:
        seen = self._assembly
        for event in events:
            content = seen.content
            payload = seen.note(event)
            if payload is not None and self.failure is None:
                self.failure = self._error(payload)
                self.content = content  # what counts is what came before it
        if self.failure is None:
            self.content = seen.content
        self.done = seen.done
        return events

    def reply(self, *, ended: bool) -> Reply:
        """The reply put together from the events that went by."""
        if ended:
            self._assembly.end()
        return Reply(
            self._assembly.body,
            status=self._status,
            headers=self._headers,
            complete=self.failure is None and self._assembly.complete(),
            events=self._assembly.events(),
            usage=lambda: Usage.from_json(self._assembly.usage()),
        )


class BodyWatch:
    """Watches a body that the program reads lazily, such as a file or JSON under ``with_streaming_response``."""

    __slots__ = ("_headers", "_kept", "_size", "_status", "content", "done", "failure")

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        """Watch a body; only JSON is kept, a file of any size just passes."""
        self._status = status
        self._headers = headers
        self._kept: list[bytes] | None = [] if "json" in headers.get("content-type", "") else None
        self._size = 0
        self.content = False
        self.done = False
        self.failure: Exception | None = None

    def feed(self, data: bytes) -> Sequence[ServerSentEvent]:
        """Take bytes; there are no events."""
        self.content = True
        if self._kept is not None:
            self._size += len(data)
            self._kept.append(data)
            if self._size > MAX_KEPT:
                self._kept = None
        return ()

    def end(self) -> Sequence[ServerSentEvent]:
        """The bytes have ended."""
        return ()

    def reply(self, *, ended: bool) -> Reply:
        """The reply, with its JSON if it was JSON."""
        content = None if self._kept is None else b"".join(self._kept)
        return Reply(content=content, status=self._status, headers=self._headers, complete=ended)
