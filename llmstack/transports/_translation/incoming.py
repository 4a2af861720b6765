"""A stream of one API on its way to a program that reads the other: translated event by event as it arrives.

Law of this file: the inner answer's own watch sees every byte first, and judges the wire (broken JSON, a stream cut
short); the outer watch sees what the program will see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from llmstack._core.transport import Incoming, ServerEvent, Watch
from llmstack._wire.jsontext import MALFORMED, parse, write
from llmstack._wire.sse import ServerSentEvent, encode

__all__ = ["CHAT", "RESPONSES", "Dialect", "TranslatedIncoming", "Translator"]


class Translator(Protocol):
    """Turns the events of one API's stream, as JSON objects, into those of the other. It does no I/O, never raises."""

    @property
    def done(self) -> bool:
        """True once what it has given is a whole stream: the dialect's closing is then written after it."""
        ...

    @property
    def failed(self) -> bool:
        """True once it has given an error event; nothing is fed to it after that."""
        ...

    def feed(self, event: Mapping[str, Any], /) -> Sequence[Mapping[str, Any]]:
        """Take one event; its ``type`` is filled in from the event's name if it has none of its own."""
        ...

    def end(self) -> Sequence[Mapping[str, Any]]:
        """Take the end of the stream, ``[DONE]`` or the last byte; called once, and not after a failure."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an API writes its events.

    Attributes:
        named: True if each event is named by its ``type``.
        closing: The bytes after the last event of a whole stream.
    """

    named: bool
    closing: bytes


CHAT: Final = Dialect(named=False, closing=b"data: [DONE]\n\n")
RESPONSES: Final = Dialect(named=True, closing=b"")


class TranslatedIncoming:
    """An `Incoming` whose bytes are those of another one, translated.

    ::

        TranslatedIncoming(inner, EventWatch(call, ...), ChatChunks(call.params), CHAT)

    `inner` is what the transport inside brought, with the watch of the API that it speaks; `watch` is for the API that
    the program speaks, and so made from the program's own call. Connection errors, broken text and what the inner
    watch finds wrong are raised by `read`, after all that came before them. An event that is no JSON is passed on as it
    is, for the SDK to raise what it does there, unless the call asks for verified events.
    """

    __slots__ = ("_dialect", "_ended", "_inner", "_over", "_translator", "watch")

    def __init__(self, inner: Incoming, watch: Watch, translator: Translator, dialect: Dialect) -> None:
        """Take over an answer of which nothing has been read."""
        self._inner = inner
        self.watch = watch
        self._translator = translator
        self._dialect = dialect
        self._over = False  # the stream has been ended: nothing is translated any more
        self._ended = False  # the bytes have ended
        headers = getattr(inner.native, "headers", None)
        if headers is not None and "content-length" in headers:
            del headers["content-length"]  # the length of other bytes

    @property
    def native(self) -> Any:
        """The inner transport's response; the SDK reads status and headers from it."""
        return self._inner.native

    @native.setter
    def native(self, value: Any) -> None:
        self._inner.native = value  # type: ignore[misc] # as whoever taps the response does

    def read(self) -> bytes | None:
        """The next translated bytes, None at the end."""
        data = b""
        while not (data or self._ended):
            self._raise()
            data = self._translated(self._inner.read())
        return data or None

    async def aread(self) -> bytes | None:
        """The next translated bytes, None at the end."""
        data = b""
        while not (data or self._ended):
            self._raise()
            data = self._translated(await self._inner.aread())
        return data or None

    def close(self) -> None:
        """Give the connection back."""
        self._inner.close()

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._inner.aclose()

    def _raise(self) -> None:
        """Raise what is wrong with the stream, unless that is an error event and so has been translated."""
        if self._translator.failed:
            return
        failure = self._inner.watch.failure
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # it holds this frame

    def _translated(self, data: bytes | None) -> bytes:
        watch = self._inner.watch
        pieces = [self._event(event) for event in (watch.end() if data is None else watch.feed(data))]
        if data is None and (watch.failure is None or self._translator.failed):
            pieces.append(self._closed())
            self._ended = True
        return b"".join(pieces)

    def _event(self, event: ServerEvent) -> bytes:
        if self._over or self._translator.failed:
            return b""
        if event.data.startswith("[DONE]"):
            return self._closed()
        value = parse(event.data)
        if value is MALFORMED:
            return encode(ServerSentEvent(event.event, event.data))
        if not isinstance(value, dict):
            return b""
        if event.event and "type" not in value:
            value["type"] = event.event
        data = self._written(self._translator.feed(value))
        return data + self._closed() if self._translator.done else data

    def _closed(self) -> bytes:
        """End the stream, once."""
        if self._over or self._translator.failed:
            return b""
        self._over = True
        data = self._written(self._translator.end())
        return data + self._dialect.closing if self._translator.done else data

    def _written(self, objects: Sequence[Mapping[str, Any]]) -> bytes:
        return b"".join(map(self._line, objects))

    def _line(self, value: Mapping[str, Any]) -> bytes:
        name = value["type"] if self._dialect.named else None
        try:
            return encode(ServerSentEvent(name, write(value)))
        except UnicodeEncodeError:  # half a surrogate pair is text in JSON, but none in UTF-8: escaped it passes
            return encode(ServerSentEvent(name, json.dumps(value)))
