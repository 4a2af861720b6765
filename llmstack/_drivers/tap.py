"""Taps: the byte stream that the program's response reads from, fed by the call's exchange.

However the program reads a streamed answer (as events, as bytes, as lines, through a helper of the SDK's), it reads
``response.stream`` in the end, and closing whatever it holds closes that. Putting the tap there makes one place of
all these ways: no byte passes without the exchange, and the flow is resumed whoever closes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import cache
from typing import Any, cast

import httpx2

from llmstack._core.exchange import Batch, Exchange
from llmstack._drivers.asynchronous import arun
from llmstack._drivers.loop import current_loop
from llmstack._drivers.reaper import areap, reap
from llmstack._drivers.sync import run
from llmstack._wire.sse import ServerSentEvent, encode


def batch_bytes(batch: Batch) -> bytes:
    """The bytes of a batch: as they came, or written anew if the events are not those that came."""
    if not batch.filtered:
        return batch.data
    return b"".join(encode(cast("ServerSentEvent", event)) for event in batch.events)


class Tap:
    """What both taps share: the exchange, and the response that is tapped now."""

    exchange: Exchange
    response: Any
    _inner: Any

    def __init__(self, exchange: Exchange) -> None:
        """Tap the exchange's present response."""
        self.exchange = exchange
        self._inner = None

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
        if "content-encoding" in response.headers:
            del response.headers["content-encoding"]
            response.headers.pop("content-length", None)
        return response


class SyncTap(Tap):
    """The tap of a sync client."""

    def pull(self) -> Batch | None:
        """The next batch, None at the end."""
        return run(self.exchange.pull(), self.exchange.engine.clock)

    def __iter__(self) -> Iterator[bytes]:
        """The bytes as the program shall see them."""
        while (batch := self.pull()) is not None:
            if data := batch_bytes(batch):
                yield data

    def close(self) -> None:
        """The program has stopped reading."""
        run(self.exchange.close(), self.exchange.engine.clock)

    def __del__(self) -> None:
        """Dropped unread: its connection goes back all the same."""
        if self.exchange.open:
            reap(self.close)


class AsyncTap(Tap):
    """The tap of an async client."""

    def __init__(self, exchange: Exchange) -> None:
        """Tap the exchange's present response, in the event loop that runs now."""
        super().__init__(exchange)
        self._loop = current_loop()

    async def pull(self) -> Batch | None:
        """The next batch, None at the end."""
        return await arun(self.exchange.pull(), self.exchange.engine.clock)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes as the program shall see them."""
        while (batch := await self.pull()) is not None:
            if data := batch_bytes(batch):
                yield data

    async def aclose(self) -> None:
        """The program has stopped reading."""
        await arun(self.exchange.close(), self.exchange.engine.clock)

    def abandon(self) -> None:
        """Close from a finaliser, in the loop that the stream belongs to."""
        if self.exchange.open:
            areap(self.aclose, self._loop)

    def __del__(self) -> None:
        """Dropped unread: its connection goes back all the same."""
        self.abandon()


@cache
def tap_class(base: type) -> Any:
    """The tap as a subclass of an HTTP library's byte stream class: the library checks by ``isinstance``."""
    ours = SyncTap if hasattr(base, "close") else AsyncTap
    return type(ours.__name__, (ours, base), {"__slots__": ()})


def stream_base(response: Any, *, asynchronous: bool) -> type:
    """The byte stream class that this response's library wants, httpx2's or the old httpx's."""
    import sys

    library = sys.modules[type(response).__module__.partition(".")[0]] if response is not None else httpx2
    return cast("type", library.AsyncByteStream if asynchronous else library.SyncByteStream)
