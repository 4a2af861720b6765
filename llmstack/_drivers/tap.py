"""Taps: the byte stream that the program's response reads from, fed by the call's exchange.

However the program reads a streamed answer (as events, as bytes, as lines, through a helper of the SDK's), it reads
``response.stream`` in the end, and closing whatever it holds closes that. Putting the tap there makes one place of
all these ways: no byte passes without the exchange, and the flow is resumed whoever closes.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any, Self, cast

import httpx2
import openai

from llmstack._core.exchange import Batch, Exchange
from llmstack._drivers.asynchronous import arun
from llmstack._drivers.guard import areap, watch
from llmstack._drivers.loop import current_loop
from llmstack._drivers.reaper import reap, remember
from llmstack._drivers.sync import run
from llmstack._wire.incoming import untranslated
from llmstack._wire.joined import pieces_of
from llmstack._wire.late import LateResponse
from llmstack._wire.sse import ServerSentEvent, encode
from llmstack._wire.watch import EventWatch


def batch_bytes(batch: Batch) -> bytes:
    """The bytes of a batch: as they came, or written anew if the events are not those that came."""
    if not batch.filtered:
        return batch.data
    return b"".join(encode(cast("ServerSentEvent", event)) for event in batch.events)


class Tap(ABC):
    """What both taps share: the exchange, and the response that is tapped now."""

    def __init__(self, exchange: Exchange) -> None:
        """Tap the exchange's present response."""
        self.exchange = exchange
        self._inner: Any = None
        self._process = os.getpid()
        # Events that have arrived and that the program has not taken yet.
        self.pending: Iterator[Any] = iter(())
        remember(self)

    @property
    def elapsed(self) -> timedelta | None:
        """Time from request to the end of the body, as ``response.elapsed`` reads it."""
        return getattr(self._inner, "elapsed", None)

    def attach(self) -> Any:
        """Put this tap into the response that is arriving now; None if it was put there already.

        The bytes given on are decompressed, so headers that say otherwise are taken off the response.
        """
        incoming = self.exchange.incoming
        response = None if incoming is None else incoming.native
        if incoming is None or response is None:
            return None
        incoming.native = None  # type: ignore[misc] # or response, tap and exchange would hold each other
        self._inner = response.stream
        response.stream = self
        # One that nobody has looked at has none: whose body is encoded, whoever reads it has looked.
        if type(response) is not LateResponse and "content-encoding" in response.headers:
            del response.headers["content-encoding"]
            response.headers.pop("content-length", None)
        return response

    def left(self) -> None:
        """The program reads no further: what is pending it has not seen, whatever the layers know of it."""
        count = sum(1 for _ in self.pending) + self.exchange.unread
        watch = None if self.exchange.incoming is None else self.exchange.incoming.watch
        if count and isinstance(watch, EventWatch):
            watch.left(count)

    @property
    def forgotten(self) -> bool:
        """True if a stream is open that nobody else will close."""
        return self.exchange.open and self.ours

    @property
    def ours(self) -> bool:
        """False in a forked child: a stream opened before the fork is the parent's to close, and closed once."""
        return self._process == os.getpid()

    @abstractmethod
    def abandon(self) -> None:
        """Have it closed soon, if it is open still. Never raises, never blocks."""

    def __del__(self) -> None:
        """Dropped unread: its connection goes back all the same."""
        self.abandon()


class SyncTap(Tap):
    """The tap of a sync client."""

    def pull(self) -> Batch | None:
        """The next batch, None at the end."""
        return run(self.exchange.pull(), self.exchange.engine.clock)

    def __iter__(self) -> Iterator[bytes]:
        """The bytes as the program shall see them."""
        while (batch := self._pull_bytes()) is not None:
            if data := batch_bytes(batch):
                yield from pieces_of(data)

    def _pull_bytes(self) -> Batch | None:
        try:
            return self.pull()
        except openai.APIConnectionError as error:
            original = untranslated(error)
            if original is None:
                raise
        raise original

    def close(self) -> None:
        """The program has stopped reading."""
        if self.ours:
            self.left()
            run(self.exchange.close(), self.exchange.engine.clock)

    def abandon(self) -> None:
        """Have it closed in another thread."""
        if self.forgotten:
            reap(self.close)


class AsyncTap(Tap):
    """The tap of an async client; it is its own iterator, since async generators are finished at odd times."""

    def __init__(self, exchange: Exchange) -> None:
        """Tap the exchange's present response, in the event loop that runs now."""
        super().__init__(exchange)
        self.loop = current_loop()
        self._pieces: Iterator[bytes] = iter(())
        watch(self, self.loop)

    async def pull(self) -> Batch | None:
        """The next batch, None at the end."""
        return await arun(self.exchange.pull(), self.exchange.engine.clock)

    def __aiter__(self) -> Self:
        """The bytes as the program shall see them."""
        return self

    async def __anext__(self) -> bytes:
        """The next bytes."""
        for piece in self._pieces:
            return piece
        try:
            while (batch := await self.pull()) is not None:
                if data := batch_bytes(batch):
                    self._pieces = iter(pieces_of(data))
                    return next(self._pieces)
        except openai.APIConnectionError as error:
            original = untranslated(error)
            if original is None:
                raise
        else:
            raise StopAsyncIteration
        raise original

    async def aclose(self) -> None:
        """The program has stopped reading."""
        if self.ours:
            self.left()
            await arun(self.exchange.close(), self.exchange.engine.clock)

    def abandon(self) -> None:
        """Have it closed in the event loop that it belongs to."""
        if self.forgotten:
            areap(self.aclose, self.loop)


@cache
def tap_class(base: type) -> Any:
    """The tap as a subclass of an HTTP library's byte stream class: the library checks by ``isinstance``."""
    ours = SyncTap if hasattr(base, "close") else AsyncTap
    return type(ours.__name__, (ours, base), {"__slots__": ()})


def stream_base(response: Any, *, asynchronous: bool) -> type:
    """The byte stream class that this response's library wants, httpx2's or the old httpx's."""
    ours = response is None or isinstance(response, httpx2.Response)
    library = httpx2 if ours else sys.modules[type(response).__module__.partition(".")[0]]
    return cast("type", library.AsyncByteStream if asynchronous else library.SyncByteStream)
