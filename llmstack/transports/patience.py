"""Deadlines and idle time-outs over aiohttp, whose connections cannot be wrapped as those of `deadline` are.

It bounds each single read by a time-out that is fixed when the request is sent. Each operation on it is bounded here
once more, where the call has a deadline, or its stream may be silent for another time than the client's reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import httpx2

from llmstack.transports.deadline import Limit

__all__ = ["Silence", "sent_in_time"]

T = TypeVar("T")

_PASSED: Final = "the deadline of the call has passed"


async def sent_in_time(
    send: Callable[[httpx2.Request], Awaitable[httpx2.Response]], request: httpx2.Request
) -> httpx2.Response:
    """Send a request; neither its answer nor any piece of that outlasts the call's deadline.

    Args:
        send: What sends it.
        request: The request; its time-outs are `Limit`s if its call has a deadline.

    Raises:
        httpx2.ReadTimeout: At the deadline.
    """
    timeouts = request.extensions.get("timeout") or {}
    limit = timeouts.get("connect")
    response = await _within(limit.left() if isinstance(limit, Limit) else None, send(request), _PASSED)
    response.stream = _Bounded(response.stream, Silence(timeouts))
    return response


class Silence:
    """How long a body may be silent, where something below bounds its reads by the time-out that was sent.

    Args:
        timeouts: The time-outs of a request. The one for reads may be changed until the body is read.
    """

    __slots__ = ("_timeouts", "_usual")

    def __init__(self, timeouts: Mapping[str, Any]) -> None:
        self._timeouts = timeouts
        self._usual = timeouts.get("read")

    @property
    def usual(self) -> bool:
        """Whether what is below does all that is needed."""
        present = self._timeouts.get("read")
        return present == self._usual and not isinstance(present, Limit)

    async def during(self, read: Awaitable[T]) -> T:
        """Await a read.

        Raises:
            httpx2.ReadTimeout: If it takes too long.
        """
        seconds: float | None = self._timeouts.get("read")
        if isinstance(seconds, Limit) and (left := seconds.left()) < seconds:
            return await _within(left, read, _PASSED)
        return await _within(seconds, read, "the answer was silent for longer than its reads may take")


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, silence: Silence) -> None:
        self._stream = stream
        self._silence = silence

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: AsyncIterator[bytes] = aiter(self._stream)
        return pieces if self._silence.usual else _Pieces(pieces, self._silence)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Pieces:
    """No generator: one that is dropped would be left to the event loop."""

    def __init__(self, pieces: AsyncIterator[bytes], silence: Silence) -> None:
        self._pieces = pieces
        self._silence = silence

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self._silence.during(anext(self._pieces))


async def _within(seconds: float | None, work: Awaitable[T], why: str) -> T:
    if seconds is None:
        return await work
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise httpx2.ReadTimeout(why) from error
