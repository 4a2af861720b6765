"""Streams: the SDK's own, reading from a tap.

`Stream` *is* an ``openai.Stream``: its loop, its chunk types, its errors. Only where the events come from is ours.

A stream and the iterator of its loop hold each other, so only the garbage collector would end them. The loop is
therefore that of a second stream, which the one that the program has holds, and which nothing else does: when the
program drops the first, it ends at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from functools import partial
from typing import Any, Generic, Self, TypeVar, cast

import openai

from llmstack._drivers.guard import areap
from llmstack._drivers.reaper import reap
from llmstack._drivers.tap import AsyncTap, SyncTap
from llmstack._wire.chunks import UNPARSED, Chunks

T = TypeVar("T")


class _Events(openai.Stream[T]):
    """The SDK's loop over the tap's events, or one that does the same and parses them faster."""

    def __stream__(self) -> Iterator[T]:
        chunks = Chunks.of(self)
        return super().__stream__() if chunks is None else self._parsed(chunks)

    def _parsed(self, chunks: Chunks) -> Iterator[T]:
        response, tap, parse = self.response, cast("SyncTap", self.response.stream), chunks.parse
        try:
            while (batch := tap.pull()) is not None:
                self.response = tap.attach() or self.response
                tap.pending = iter(batch.events)
                for event in tap.pending:
                    chunk = parse(event)
                    if chunk is UNPARSED:
                        if event.data.startswith("[DONE]"):
                            return
                        chunk = chunks.by_sdk(event, self.response)
                    yield chunk
        finally:
            response.close()

    def _iter_events(self) -> Iterator[Any]:
        tap = cast("SyncTap", self.response.stream)
        while (batch := tap.pull()) is not None:
            # A retry before the first content has brought another response.
            self.response = tap.attach() or self.response
            tap.pending = iter(batch.events)
            yield from tap.pending


class _AsyncEvents(openai.AsyncStream[T]):
    """The same for async clients."""

    def __stream__(self) -> AsyncIterator[T]:
        chunks = Chunks.of(self)
        return super().__stream__() if chunks is None else _Parsed(self, chunks)

    def _iter_events(self) -> AsyncIterator[Any]:
        return _Arriving(self)


class _Arriving:
    """A tap's events. No async generator: where one of these is left in the middle, it is finished at odd times."""

    def __init__(self, stream: _AsyncEvents[Any]) -> None:
        self._stream = stream
        self._tap = cast("AsyncTap", stream.response.stream)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            for event in self._tap.pending:
                return event
            batch = await self._tap.pull()
            if batch is None:
                raise StopAsyncIteration
            self._stream.response = self._tap.attach() or self._stream.response
            self._tap.pending = iter(batch.events)


class _Parsed:
    """What the SDK's loop gives, parsed faster. No async generator, either."""

    __slots__ = ("_loop", "_odd", "_response", "_running")

    def __init__(self, stream: _AsyncEvents[Any], chunks: Chunks) -> None:
        self._response = stream.response
        # The stream holds this, and so this must not hold the stream any longer than it reads from it.
        self._loop: tuple[_AsyncEvents[Any], AsyncTap, Chunks] | None = None
        self._loop = (stream, cast("AsyncTap", stream.response.stream), chunks)
        self._running = False
        self._odd: Any = None  # an event that `ready` has taken, and left to `__anext__`

    def __aiter__(self) -> Self:
        return self

    def ready(self) -> Any:
        """The next chunk if it has arrived, and nothing is odd about it; else `UNPARSED`."""
        if self._loop is not None and not self._running:
            _, tap, chunks = self._loop
            for event in tap.pending:
                chunk = chunks.parse(event)
                if chunk is UNPARSED:
                    self._odd = event
                return chunk
        return UNPARSED

    async def __anext__(self) -> Any:
        if self._loop is None:
            raise StopAsyncIteration
        if self._running:
            raise RuntimeError("anext(): another task is reading this stream")
        self._running = True
        try:
            return await self._next(*self._loop)
        except BaseException:
            await self._end()
            raise
        finally:
            self._running = False

    async def _next(self, stream: _AsyncEvents[Any], tap: AsyncTap, chunks: Chunks) -> Any:
        event, self._odd = self._odd, None
        while event is None and (event := next(tap.pending, None)) is None:
            batch = await tap.pull()
            if batch is None:
                raise StopAsyncIteration
            stream.response = tap.attach() or stream.response
            tap.pending = iter(batch.events)
        chunk = chunks.parse(event)
        if chunk is not UNPARSED:
            return chunk
        if event.data.startswith("[DONE]"):
            raise StopAsyncIteration
        return chunks.by_sdk(event, stream.response)

    async def _end(self) -> None:
        self._loop = None
        await self._response.aclose()

    async def aclose(self) -> None:
        """End the loop."""
        if self._running:
            raise RuntimeError("aclose(): another task is reading this stream")
        if self._loop is not None:
            await self._end()


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
            self._tap = response.stream
            self._inner = _Events(cast_to=cast_to, response=response, client=client, options=options)
            self._iterator = self._inner._iterator  # noqa: SLF001 - the SDK's loop over our events

    @property
    def response(self) -> Any:
        """The HTTP response that is streamed; after a seamless retry the last one."""
        return self._response if self._inner is None else self._inner.response

    @response.setter
    def response(self, response: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._response = response

    def __iter__(self) -> Iterator[T]:
        """The chunks."""
        return self

    def close(self) -> None:
        """Stop reading: the connection goes back and the layers hear of it. May be called again."""
        try:
            self.response.close()
        finally:
            if self._inner is not None:
                _finish(self._iterator)

    def __del__(self) -> None:
        """Dropped: close it soon, elsewhere."""
        if self._inner is not None and self._tap.forgotten:
            reap(partial(_close, self._tap, self._iterator))


def _close(tap: SyncTap, iterator: Iterator[Any]) -> None:
    tap.close()
    _finish(iterator)


def _finish(iterator: Iterator[Any]) -> None:
    """End the SDK's loop."""
    with contextlib.suppress(ValueError):  # another thread is in it: it finds the tap closed
        cast("Generator[Any]", iterator).close()


class AsyncStream(openai.AsyncStream[T], Generic[T]):
    """The same for async clients."""

    _inner: openai.AsyncStream[T] | None = None

    def __init__(self, *, cast_to: Any, response: Any, client: Any, options: Any = None) -> None:
        """Called by the SDK."""
        super().__init__(cast_to=cast_to, response=response, client=client, options=options)
        if isinstance(response.stream, AsyncTap):
            self._tap = response.stream
            self._inner = _AsyncEvents(cast_to=cast_to, response=response, client=client, options=options)
            self._iterator = self._inner._iterator  # noqa: SLF001 - the SDK's loop over our events

    @property
    def response(self) -> Any:
        """The HTTP response that is streamed; after a seamless retry the last one."""
        return self._response if self._inner is None else self._inner.response

    @response.setter
    def response(self, response: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._response = response

    def __aiter__(self) -> AsyncIterator[T]:
        """The chunks."""
        return self

    async def __anext__(self) -> T:
        """The next chunk."""
        iterator = self._iterator
        if type(iterator) is _Parsed:
            # Most chunks came with others, and need not be waited for.
            chunk = iterator.ready()
            if chunk is not UNPARSED:
                return chunk  # type: ignore[no-any-return]
        return await iterator.__anext__()

    async def close(self) -> None:
        """Stop reading: the connection goes back and the layers hear of it. May be called again."""
        try:
            await self.response.aclose()
        finally:
            if self._inner is not None:
                await _afinish(self._iterator)

    def __del__(self) -> None:
        """Dropped: close it soon, in its own event loop."""
        if self._inner is None:
            return
        if self._tap.forgotten:
            areap(partial(_aclose, self._tap, self._iterator), self._tap.loop)
            return
        if getattr(self._iterator, "ag_frame", None) is not None:
            # Closed behind its back (the SDK's helpers close the response). The loop then ends without waiting for
            # anything, and must: an async generator that is left in the middle is complained about.
            with contextlib.suppress(BaseException):
                _afinish(self._iterator).send(None)


async def _aclose(tap: AsyncTap, iterator: AsyncIterator[Any]) -> None:
    await tap.aclose()
    await _afinish(iterator)


async def _afinish(iterator: AsyncIterator[Any]) -> None:
    """End the SDK's loop."""
    with contextlib.suppress(RuntimeError):  # another task is in it: it finds the tap closed
        await cast("AsyncGenerator[Any, None]", iterator).aclose()
