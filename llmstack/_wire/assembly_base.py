"""What every assembly does: keep the events, and recognise content, errors, usage and the end among them.

`note` runs for every event of every stream. Once content has been seen it keeps the event and searches its text for
the few words that could matter; JSON is parsed only where one is found. Whatever needs all events is computed when
asked for. `"error"`, quotes included, cannot occur inside a JSON string, whose quotes are escaped, except as the whole
of one: so a search may find too much but never too little.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

from llmstack._wire.jsontext import MALFORMED, parse
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
    """

    __slots__ = ("_ended", "_events", "_failed", "_kept", "_marker", "_merged", "_room", "_stopped",
                 "_tier", "_usage", "content", "done")  # fmt: skip

    def __init__(self, *, limit: int = LIMIT, marker: str | None = None) -> None:
        """Start before the first event.

        Parameters:
            limit: How many characters of data to keep; beyond it the events are let go and there is no body.
            marker: Text that an event after the first content must hold to be studied for the endpoint's sake.
        """
        self.content = False
        self.done = False
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
        data = event.data
        if self._stopped:
            return None
        self._room -= len(data) + _OVERHEAD
        if self._room >= 0:
            self._events.append(event)
        else:
            self._overflow(event)
        if (
            self.content
            and '"error"' not in data
            and ('"usage"' not in data or _usage_object(data) is None)
            and not data.startswith("[DONE]")
            and (self._marker is None or self._marker not in data)
        ):
            return None
        return self._inspect(event)

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

    def _read(self) -> Iterator[ServerSentEvent]:
        """The kept events that the SDK reads."""
        return takewhile(lambda event: not event.data.startswith("[DONE]"), self._events)

    # what differs from endpoint to endpoint

    @abstractmethod
    def _study(self, event: ServerSentEvent, value: dict[str, Any]) -> object | None:
        """Set the flags and the usage from an event; return it if it is an error in the endpoint's own form."""

    def _track(self, value: dict[str, Any]) -> None:  # noqa: B027 - most endpoints need nothing
        """Learn from an event that is not kept whatever `complete` needs."""

    @abstractmethod
    def _merge(self) -> dict[str, Any] | None:
        """Put the kept events together."""
