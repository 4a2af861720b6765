"""Watches: they see a reply's bytes go by and can say at the end what the reply was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from llmstack._core.call import Call
from llmstack._core.reply import Reply
from llmstack._core.usage import Usage
from llmstack._wire.assembly import assembly
from llmstack._wire.fault import bad_event, bare_response, cut_short, no_stream
from llmstack._wire.jsontext import is_json
from llmstack._wire.repeated import Repeated
from llmstack._wire.request import bare_request
from llmstack._wire.sse import Decoder, ServerSentEvent

MAX_KEPT = 64 * 1024 * 1024
"""Bytes of a body that is not streamed as events, but read lazily, that are kept for the layers."""


MAX_JUDGED = 64 * 1024
"""Bytes of a body without any event that are kept to say what it was."""

_BLANK: Final = len(b"\r\n\r\n")
"""How much of the end of a stream tells whether it ended between two events."""


class EventWatch:
    """Watches a stream of server-sent events.

    With `call.verify` an event that is no JSON, and a body without any event, is a failure; with `call.strict` also an
    end that does not say that it is one.
    """

    __slots__ = (
        "_assembly", "_cut", "_decoder", "_endpoint", "_error", "_failure", "_fresh", "_headers", "_judged",
        "_repeated", "_requested", "_size", "_status", "_stopped", "_strict", "_tail", "_verify", "content", "done",
    )  # fmt: skip

    def __init__(self, call: Call, status: int, headers: Mapping[str, str], error: Callable[[Any], Exception]) -> None:
        """Watch a reply to `call`; `error` makes the exception for an error event's payload."""
        choices = call.params.get("n")
        self._endpoint, self._verify, self._strict = call.endpoint, call.verify, call.strict
        self._decoder = Decoder()
        self._fresh = partial(assembly, call.endpoint, choices=choices if isinstance(choices, int) else 1)
        self._assembly = self._fresh()
        self._assembly.sound = call.verify
        self._cut = False
        self._status = status
        self._headers = headers
        self._error = error
        # What makes the failure, not the failure: its traceback would hold what holds this watch.
        self._failure: Callable[[], Exception] | None = None
        self._requested = partial(_request_of, error, call)
        self._repeated = Repeated() if call.verify else None
        self._judged: list[bytes] | None = [] if call.verify else None
        self._size = 0
        self._tail = b""
        self._stopped = False
        self.content = False
        self.done = False

    @property
    def failure(self) -> Exception | None:
        """What is wrong with the stream; a fresh exception each time."""
        return None if self._failure is None else self._failure()

    def feed(self, data: bytes) -> Sequence[ServerSentEvent]:
        """Take bytes, return the events they completed."""
        if self._judged is not None:
            if self._size < MAX_JUDGED:
                self._judged.append(data[: MAX_JUDGED - self._size])
            self._size += len(data)
        if self._strict:
            self._tail = (self._tail + data[-_BLANK:])[-_BLANK:]
        try:
            return self._note(self._decoder.feed(data))
        except UnicodeDecodeError as error:
            return self._unreadable(error)

    def end(self) -> Sequence[ServerSentEvent]:
        """The bytes have ended."""
        try:
            events = self._note(self._decoder.end())
        except UnicodeDecodeError as error:
            return self._unreadable(error)
        if self._failure is None:
            if self._judged is not None:
                self._failure = self._no_stream()
            elif self._strict and not self._finished():
                self._failure = partial(cut_short, self._requested())
        return events

    def _note(self, events: list[ServerSentEvent]) -> list[ServerSentEvent]:
        seen, verify = self._assembly, self._verify
        if events:
            self._judged = None
        i = seen.follow(events, 0, self._repeated)
        while i < len(events):
            event = events[i]
            if verify and self._failure is None and self._is_bad(event):
                self._failure = self._bad_event(event.data)
                self.content = seen.content
                del events[i:]
                break
            content = seen.content
            payload = seen.note(event)
            if payload is not None and self._failure is None:
                self._failure = partial(self._error, payload)
                self.content = content  # what counts is what came before it
            i = seen.follow(events, i + 1, self._repeated)
        if self._failure is None:
            self.content = seen.content
        self.done = seen.done
        return events

    def _unreadable(self, error: UnicodeDecodeError) -> list[ServerSentEvent]:
        if not self._verify or self._failure is not None:
            raise error
        self._failure = self._no_stream() if self._judged is not None else self._bad_event(error.object)
        return []

    def _is_bad(self, event: ServerSentEvent) -> bool:
        """Whether the SDK would fail to read an event."""
        self._stopped = self._stopped or event.data.startswith("[DONE]")
        return not self._stopped and not is_json(event.data)

    def _finished(self) -> bool:
        seen = self._assembly
        if seen.done:
            return True
        seen.end()
        blank = self._tail.replace(b"\r\n", b"\n").replace(b"\r", b"\n").endswith(b"\n\n")
        return blank and seen.complete()  # else it ended inside an event

    def left(self, count: int) -> None:
        """The program has not taken the last so many events, and takes no more.

        What they say is known all the same, the usage above all; but unless it had the whole reply before them, it
        has stopped in the middle of it.
        """
        taken = self._fresh()
        for event in self._assembly.events()[:-count]:
            taken.note(event)
        self._cut = not taken.complete()

    # What went wrong. None of it holds this watch.

    def _no_stream(self) -> Callable[[], Exception]:
        return partial(no_stream, self._endpoint, self._response(b"".join(self._judged or ())), self._size)

    def _bad_event(self, data: object) -> Callable[[], Exception]:
        return partial(bad_event, self._endpoint, self._response(), data)

    def _response(self, content: bytes = b"") -> Any:
        return bare_response(self._status, self._headers, self._requested(), content)

    def reply(self, *, ended: bool) -> Reply:
        """The reply put together from the events that went by."""
        seen = self._assembly
        if ended:
            seen.end()
        return Reply(
            seen.body,
            status=self._status,
            headers=self._headers,
            complete=False if self._failure is not None or self._cut else seen.complete,
            events=seen.events(),
            # The tier that served it may have prices of its own.
            usage=lambda: Usage.of_body({"usage": seen.usage(), "service_tier": seen.tier()}),
        )


def _request_of(error: Callable[[Any], Exception], call: Call) -> Any:
    """The request that an error is about: every error of the SDK knows it."""
    return getattr(error(None), "request", None) or bare_request(call)


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
