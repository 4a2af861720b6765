"""Filtering: streamed chunks on their way to the program pass the layers' chunk filters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import Any, NoReturn, cast

from llmstack._core.call import Call
from llmstack._core.chunk_filter import Chunk, ChunkFilter
from llmstack._core.effects import Flow
from llmstack._core.transport import ServerEvent
from llmstack._wire.sse import ServerSentEvent

_DONE = "[DONE]"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class SignedFactory:
    """A filter factory that bears the name of the plugin that added it, for the errors."""

    plugin: str
    factory: Callable[[Call], ChunkFilter]

    def __call__(self, call: Call) -> ChunkFilter:
        """Make the filter."""
        return self.factory(call)


def sign_filters(call: Call, plugin: str) -> Call:
    """A call whose filters without a name bear this plugin's."""
    if all(type(factory) is SignedFactory for factory in call.filters):
        return call
    signed = (f if type(f) is SignedFactory else SignedFactory(plugin, f) for f in call.filters)
    return call.replace(filters=tuple(signed))


class Filters:
    """The chunk filters of one send, innermost first, over server-sent events."""

    __slots__ = ("_call", "_chain", "_ended", "_skims")

    def __init__(self, call: Call) -> None:
        """Make the filters that the call's layers asked for, fresh for this send.

        Raises:
            PluginError: If a factory fails.
        """
        self._call = call
        self._chain: list[tuple[str | None, ChunkFilter]] = []
        self._ended = False
        for factory in reversed(call.filters):
            plugin = _plugin(factory)
            try:
                self._chain.append((plugin, factory(call)))
            except Exception as error:  # noqa: BLE001 - it gets a name
                self._name(plugin, error)
        skims: list[tuple[str | None, Any]] = [(plugin, getattr(made, "skim", None)) for plugin, made in self._chain]
        # If one of them needs the chunks, they are parsed, and the others may as well have them.
        self._skims = skims if all(skim is not None for _, skim in skims) else None

    def start(self) -> Flow[None] | None:
        """What the filters have to do while the request is being sent; None if nothing."""
        optional: list[tuple[str | None, Any]] = [(plugin, made) for plugin, made in self._chain]
        starts = [(plugin, made.start) for plugin, made in optional if hasattr(made, "start")]
        return self._start(starts) if starts else None

    def _start(self, starts: Sequence[tuple[str | None, Callable[[], Any]]]) -> Flow[None]:
        for plugin, start in starts:
            try:
                started = start()
                if isinstance(started, GeneratorType):
                    yield from started
            except Exception as error:  # noqa: BLE001 - it gets a name
                self._name(plugin, error)

    def apply(self, events: Sequence[ServerEvent], *, last: bool) -> Flow[list[ServerEvent]]:
        """Pass events through all filters; with `last`, or at the end marker, also what they kept back.

        Errors, and events whose data is no JSON object, pass as they are: the SDK decides about them.

        Raises:
            PluginError: If a filter fails, or returns something else than chunks.
        """
        out: list[ServerEvent] = []
        coming = iter(events)
        while (event := self._skim(coming, out)) is not None:
            if event.data.startswith(_DONE):
                out += yield from self._flush(event)
                out.append(event)
                continue
            try:
                chunk = event.json()
            except ValueError:
                chunk = None
            if not isinstance(chunk, dict) or chunk.get("error") or chunk.get("type") == "error":
                yield from self._show(event.data if chunk is None else chunk)
                out.append(event)
                continue
            chunks = yield from self._through([chunk], 0)
            out += _as_events(event, chunks)
        if last:
            out += yield from self._flush(None)
        return out

    def _skim(self, coming: Iterator[ServerEvent], out: list[ServerEvent]) -> ServerEvent | None:
        """Deliver events as long as all filters can tell what of them, without their chunks.

        Returns:
            The first of which one cannot; None if there are no more.
        """
        skims, plugin = self._skims, None
        for event in coming:
            data = event.data
            text: Any = data
            if skims is None or '"error"' in data or data.startswith(_DONE):  # the first is no chunk, perhaps
                return event
            try:
                for plugin, skim in skims:  # noqa: B007 - it is named below
                    text = skim(text)
                    if text is None:
                        return event
                    if not isinstance(text, str):
                        message = f"skim returned {type(text).__name__} instead of a text or None"
                        raise TypeError(message)  # noqa: TRY301 - named below, as any other
            except Exception as error:  # noqa: BLE001 - it gets a name
                self._name(plugin, error)
            out.append(event if text is data else ServerSentEvent(event.event, text))
        return None

    def _show(self, value: Any) -> Flow[None]:
        """Show what is no chunk, and passes as it is, to the filters that want to see it."""
        for plugin, made in self._chain:
            other: Callable[[Any], Any] | None = getattr(made, "other", None)
            if other is None:
                continue
            try:
                result = other(value)
                if isinstance(result, GeneratorType):
                    yield from result
            except Exception as error:  # noqa: BLE001 - it gets a name
                self._name(plugin, error)

    def _flush(self, like: ServerEvent | None) -> Flow[list[ServerEvent]]:
        if self._ended:
            return []
        self._ended = True
        kept: list[Chunk] = []
        for i, (plugin, chunk_filter) in enumerate(self._chain):
            tail = yield from self._outcome(plugin, chunk_filter.end)
            kept += yield from self._through(tail, i + 1)
        return _as_events(like, kept)

    def _through(self, chunks: Sequence[Chunk], start: int) -> Flow[Sequence[Chunk]]:
        for plugin, chunk_filter in self._chain[start:]:
            passed: list[Chunk] = []
            for chunk in chunks:
                passed += yield from self._outcome(plugin, chunk_filter.feed, chunk)
            chunks = passed
        return chunks

    def _outcome(self, plugin: str | None, method: Callable[..., Any], *args: Any) -> Flow[Sequence[Chunk]]:
        try:
            result = method(*args)
            if isinstance(result, GeneratorType):
                result = yield from result
            if not _are_chunks(result):
                message = f"{method.__qualname__} returned {type(result).__name__} instead of a list of chunks"
                raise TypeError(message)  # noqa: TRY301 - named below, as any other
        except Exception as error:  # noqa: BLE001 - it gets a name
            self._name(plugin, error)
        return cast("Sequence[Chunk]", result)

    def _name(self, plugin: str | None, error: Exception) -> NoReturn:
        """Raise a filter's error, so that it tells whose filter it is."""
        from llmstack.errors import PluginError, StackError

        if isinstance(error, StackError):
            error.plugin = error.plugin or plugin
            error.call = error.call or self._call.info
            raise error
        reply = self._call.progress.reply
        what = f"the chunk filter of plugin {plugin!r} failed with {type(error).__name__}"
        about = str(error) if isinstance(error, TypeError) else "its own error is chained as the cause"
        raise PluginError(f"{what}; {about}", plugin=plugin, call=self._call.info, reply=reply) from error


def _are_chunks(result: object) -> bool:
    return isinstance(result, (list, tuple)) and all(isinstance(chunk, Mapping) for chunk in result)


def _plugin(factory: Callable[[Call], ChunkFilter]) -> str | None:
    return factory.plugin if isinstance(factory, SignedFactory) else None


def _as_events(like: ServerEvent | None, chunks: Sequence[Chunk]) -> list[ServerEvent]:
    name = None if like is None else like.event
    events: list[ServerEvent] = []
    for chunk in chunks:
        kind = chunk.get("type")
        # Responses name their events by the type of the data; a rewritten one must agree with its name.
        event = kind if name is not None and isinstance(kind, str) else name
        events.append(ServerSentEvent(event=event, data=_encode(dict(chunk))))
    return events
