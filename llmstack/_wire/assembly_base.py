"""What every assembly does: keep the events, and recognise content, errors, usage and the end among them.

Once content has been seen each event is kept, and its text searched for the few words that could matter; JSON is parsed
only where one is found. Whatever needs all events is computed when asked for. `"error"`, quotes included, cannot occur
inside a JSON string, whose quotes are escaped, except as the whole of one: so a search may find too much but never too
little.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmstack._wire.jsontext import MALFORMED, parse
from llmstack._wire.repeated import Repeated
from llmstack._wire.sse import ServerSentEvent

__all__ = ["LIMIT", "Assembly"]

LIMIT: Final = 64 * 1024 * 1024
"""How much of a stream is kept by default, in characters of data."""

_OVERHEAD: Final = 160
"""What an event weighs beside its data, so that a stream of empty events is bounded too."""

_usage_object = re.compile(r'"usage"\s*:\s*\{').search


class Assembly(ABC):
    """Watches the events of a streamed reply and puts the whole reply together.

    Attributes:
        content: True once an event that carries content has been seen.
        done: True once the end marker has been seen.
        sound: Set by whoever lets it see no event that is not JSON.
    """

    __slots__ = ("_ended", "_events", "_failed", "_kept", "_marker", "_merged", "_room", "_stopped",
                 "_tier", "_usage", "content", "done", "sound")  # fmt: skip

    def __init__(self, *, limit: int = LIMIT, marker: str | None = None) -> None:
        """Start before the first event.

        Parameters:
            limit: How many characters of data to keep; beyond it the events are let go and there is no body.
            marker: Text that an event after the first content must hold to be studied for the endpoint's sake.
        """
        self.content = False
        self.done = False
        self.sound = False
        self._events: list[ServerSentEvent] = []
        self._room = limit
        self._marker = marker
        self._kept = True
        self._stopped = False  # [DONE]: the SDK reads no further
        self._ended = False
        self._failed = False  # an error event or malformed JSON
        self._usage: Mapping[str, Any] | None = None
        self._tier: object = None  # that served it, told with the usage
        self._merged: tuple[int, dict[str, Any] | None] | None = None

    def note(self, event: ServerSentEvent) -> object | None:
        """Record an event.

        Parameters:
            event: The next event of the stream.

        Returns:
            None, or if it is an event on which the SDK's stream raises APIError, the value of its "error" (a mapping,
            a string, …). An error event of the Responses API, which the SDK hands on instead, is returned whole.
        """
        if self._stopped:
            return None
        self._room -= len(event.data) + _OVERHEAD
        if self._room >= 0:
            self._events.append(event)
        else:
            self._overflow(event)
        return None if self.content and not self._matters(event.data) else self._inspect(event)

    def follow(self, events: Sequence[ServerSentEvent], at: int, repeated: Repeated | None = None) -> int:
        """Record events as long as each but goes on with the answer, as nearly all do.

        Parameters:
            events: Events of the stream.
            at: Where to begin among them.
            repeated: Knows some of them again; the others must be JSON. If None, they need not be.

        Returns:
            Where the first is that must be given to `note`.
        """
        if not self.content or self._stopped:
            return at
        matters, keep, room = self._matters, self._events.append, self._room
        for i in range(at, len(events)):
            event = events[i]
            data = event.data
            left = room - len(data) - _OVERHEAD
            # What is known again is like one of which all this was found out.
            new = repeated is None or repeated.text(data) is None
            if left < 0 or (new and (matters(data) or not (repeated is None or repeated.reads(data)))):
                self._room = room
                return i
            room = left
            keep(event)
        self._room = room
        return len(events)

    def _matters(self, data: str) -> bool:
        """Tell whether an event may do more than go on with the answer."""
        return (
            '"error"' in data
            or ('"usage"' in data and _usage_object(data) is not None)
            or data.startswith("[DONE]")
            or (self._marker is not None and self._marker in data)
        )

    def end(self) -> None:
        """Record that the stream ended by itself, neither broken nor abandoned."""
        self._ended = True

    def body(self) -> dict[str, Any] | None:
        """Put the reply together.

        Returns:
            What the endpoint would have answered without streaming, as far as seen; None if that cannot be told.
        """
        if not self._kept:
            return None
        if self._merged is None or self._merged[0] != len(self._events):
            try:
                self._merged = (len(self._events), self._merge())
            except RecursionError:  # nested as no answer is
                self._failed = True
                self._merged = (len(self._events), None)
        return self._merged[1]

    def usage(self) -> Mapping[str, Any] | None:
        """Return the usage object as it came.

        Returns:
            The last one seen, None if there was none.
        """
        return self._usage

    def tier(self) -> object:
        """Return the service tier as the event with the usage told it, None if it did not."""
        return self._tier

    @abstractmethod
    def complete(self) -> bool:
        """Tell whether the reply is whole.

        Returns:
            False if its end was not seen, or if any of it was an error or could not be read.
        """

    def events(self) -> Sequence[ServerSentEvent]:
        """Return the events seen.

        Returns:
            All of them, up to and with [DONE]; nothing if they were too large to keep.
        """
        return self._events

    def _inspect(self, event: ServerSentEvent) -> object | None:
        if event.data.startswith("[DONE]"):
            self.done = self._stopped = True
            return None
        value = self._object(event)
        if value is None:
            return None
        # The SDK looks for errors in all events but those named thread.*: openai/_streaming.py, Stream.__stream__.
        if (error := value.get("error")) and not (event.event or "").startswith("thread."):
            self._failed = True
            return error  # type: ignore[no-any-return]
        return self._study(event, value)

    def _overflow(self, event: ServerSentEvent) -> None:
        """Let the events go, learning from each what `complete` will need."""
        if self._kept:
            self._kept = False
            kept, self._events = self._events, []
            self._merged = None
            for earlier in kept:
                self._learn(earlier)
        self._learn(event)

    def _learn(self, event: ServerSentEvent) -> None:
        if event.data.startswith("[DONE]"):
            return
        value = self._object(event)
        if value is not None:
            self._track(value)

    def _object(self, event: ServerSentEvent) -> dict[str, Any] | None:
        """Parse an event; None if it is not an object. Malformed text is remembered."""
        value = parse(event.data)
        if value is MALFORMED:
            self._failed = True
        return value if isinstance(value, dict) else None

    def _values(self) -> list[dict[str, Any]]:
        """Parse the kept events; whatever is not an object is left out."""
        return [value for event in self._read() if (value := self._object(event)) is not None]

    def _read(self) -> Sequence[ServerSentEvent]:
        """The kept events that the SDK reads: all but the end marker, after which none is kept."""
        return self._events[:-1] if self._stopped else self._events

    # what differs from endpoint to endpoint

    @abstractmethod
    def _study(self, event: ServerSentEvent, value: dict[str, Any]) -> object | None:
        """Set the flags and the usage from an event; return it if it is an error in the endpoint's own form."""

    def _track(self, value: dict[str, Any]) -> None:  # noqa: B027 - most endpoints need nothing
        """Learn from an event that is not kept whatever `complete` needs."""

    @abstractmethod
    def _merge(self) -> dict[str, Any] | None:
        """Put the kept events together."""
