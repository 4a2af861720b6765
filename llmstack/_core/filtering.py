"""Filtering: streamed chunks on their way to the program pass the layers' chunk filters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from types import GeneratorType
from typing import Any, cast

from llmstack._core.call import Call, Chunk, ChunkFilter
from llmstack._core.effects import Flow
from llmstack._core.transport import ServerEvent

_DONE = "[DONE]"


class Filters:
    """The chunk filters of one send, innermost first, over server-sent events."""

    __slots__ = ("_chain", "_ended")

    def __init__(self, call: Call) -> None:
        """Make the filters that the call's layers asked for, fresh for this send."""
        self._chain: list[ChunkFilter] = [factory(call) for factory in reversed(call.filters)]
        self._ended = False

    def apply(self, events: Sequence[ServerEvent], *, last: bool) -> Flow[list[ServerEvent]]:
        """Pass events through all filters; with `last`, or at the end marker, also what they kept back.

        Events whose data is no JSON object pass as they are: the SDK decides about them.
        """
        out: list[ServerEvent] = []
        for event in events:
            if event.data.startswith(_DONE):
                out += yield from self._flush(event)
                out.append(event)
                continue
            try:
                chunk = event.json()
            except ValueError:
                chunk = None
            if not isinstance(chunk, dict):
                out.append(event)
                continue
            chunks = yield from self._through([chunk], self._chain)
            out += _as_events(event, chunks)
        if last:
            out += yield from self._flush(None)
        return out

    def _flush(self, like: ServerEvent | None) -> Flow[list[ServerEvent]]:
        if self._ended:
            return []
        self._ended = True
        kept: list[Chunk] = []
        for i, chunk_filter in enumerate(self._chain):
            tail = yield from _outcome(chunk_filter.end)
            kept += yield from self._through(tail, self._chain[i + 1 :])
        return _as_events(like, kept)

    def _through(self, chunks: Sequence[Chunk], chain: Iterable[ChunkFilter]) -> Flow[Sequence[Chunk]]:
        for chunk_filter in chain:
            passed: list[Chunk] = []
            for chunk in chunks:
                passed += yield from _outcome(chunk_filter.feed, chunk)
            chunks = passed
        return chunks


def _outcome(method: Callable[..., Any], *args: Any) -> Flow[Sequence[Chunk]]:
    result = method(*args)
    if isinstance(result, GeneratorType):
        result = yield from result
    return cast("Sequence[Chunk]", result)


def _as_events(like: ServerEvent | None, chunks: Sequence[Chunk]) -> list[ServerEvent]:
    from llmstack._wire.sse import ServerSentEvent

    name = None if like is None else like.event
    events: list[ServerEvent] = []
    for chunk in chunks:
        kind = chunk.get("type")
        # Responses name their events by the type of the data; a rewritten one must agree with its name.
        event = kind if name is not None and isinstance(kind, str) else name
        events.append(ServerSentEvent(event=event, data=json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))))
    return events
