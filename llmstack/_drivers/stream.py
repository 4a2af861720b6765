"""Streams: the SDK's own, reading from a tap.

`Stream` *is* an ``openai.Stream``: its loop, its chunk types, its errors. Only where the events come from is ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar

import openai

from llmstack._drivers.reaper import reap
from llmstack._drivers.tap import AsyncTap, SyncTap

T = TypeVar("T")


class _Events(openai.Stream[T]):
    """The SDK's loop over the tap's events.

    A stream and its iterator hold each other, so only the garbage collector would end them. This one is held by
    the stream that the program has, which nothing holds: when the program drops that, it ends at once.
    """

    def _iter_events(self) -> Iterator[Any]:
        tap: SyncTap = self.response.stream  # type: ignore[assignment]
        while (batch := tap.pull()) is not None:
            # A retry before the first content has brought another response.
            self.response = tap.attach() or self.response
            yield from batch.events


class _AsyncEvents(openai.AsyncStream[T]):
    """The same for async clients."""

    async def _iter_events(self) -> AsyncIterator[Any]:
        tap: AsyncTap = self.response.stream  # type: ignore[assignment]
        while (batch := await tap.pull()) is not None:
            self.response = tap.attach() or self.response
            for event in batch.events:
                yield event


class Stream(openai.Stream[T], Generic[T]):
    """A stream of chunks that has passed the stack. Use it exactly as the SDK's.

    Close it, or read it to its end, or use it in a ``with`` block. If it is only dropped, its connection still goes
    back and the layers still hear of it, a moment later and from another thread.
    """

    _inner: openai.Stream[T] | None = None

    def __init__(self, *, cast_to: Any, response: Any, client: Any, options: Any = None) -> None:
        """Called by the SDK."""
        super().__init__(cast_to=cast_to, response=response, client=client, options=options)
        if isinstance(response.stream, SyncTap):
            self._inner = _Events(cast_to=cast_to, response=response, client=client, options=options)
            self._iterator = self._inner._iterator  # noqa: SLF001 - the SDK's iterator over our events

    @property
    def response(self) -> Any:  # type: ignore[override]
        """The HTTP response that is streamed; after a seamless retry the last one."""
        return self._response if self._inner is None else self._inner.response

    @response.setter
    def response(self, response: Any) -> None:
        self._response = response

    def close(self) -> None:
        """Stop reading: the connection goes back and the layers hear of it. May be called again."""
        self.response.close()

    def __del__(self) -> None:
        """Dropped: close it soon, elsewhere."""
        inner = self.__dict__.get("_inner")
        if inner is not None and inner.response.stream.exchange.open:
            reap(inner.response.stream.close)


class AsyncStream(openai.AsyncStream[T], Generic[T]):
    """The same for async clients."""

    _inner: openai.AsyncStream[T] | None = None

    def __init__(self, *, cast_to: Any, response: Any, client: Any, options: Any = None) -> None:
        """Called by the SDK."""
        super().__init__(cast_to=cast_to, response=response, client=client, options=options)
        if isinstance(response.stream, AsyncTap):
            self._inner = _AsyncEvents(cast_to=cast_to, response=response, client=client, options=options)
            self._iterator = self._inner._iterator  # noqa: SLF001 - the SDK's iterator over our events

    @property
    def response(self) -> Any:  # type: ignore[override]
        """The HTTP response that is streamed; after a seamless retry the last one."""
        return self._response if self._inner is None else self._inner.response

    @response.setter
    def response(self, response: Any) -> None:
        self._response = response

    async def close(self) -> None:
        """Stop reading: the connection goes back and the layers hear of it. May be called again."""
        await self.response.aclose()

    def __del__(self) -> None:
        """Dropped: close it soon, in its own event loop."""
        inner = self.__dict__.get("_inner")
        if inner is not None:
            inner.response.stream.abandon()
