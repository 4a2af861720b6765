"""An answer that is streamed past the HTTP client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NoReturn

import httpx2

from llmstack._core.transport import Watch
from llmstack._wire.incoming import Joins
from llmstack._wire.late import LateResponse
from llmstack._wire.sdk import translated
from llmstack.transports.head import Fields
from llmstack.transports.prepared import Outgoing

__all__ = ["Flowing", "Requested", "Watching", "flowing_response"]

Watching = Callable[[int, Mapping[str, str], Callable[[], httpx2.Request]], Watch]
"""Makes the watch over a stream from its status, its headers, and what gives the request that it answers."""


class _Elsewhere(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Stands where the response's bytes would come from; they come from `Flowing`."""

    elapsed: timedelta | None = None


class Requested:
    """The request that a stream answers: the HTTP library's object, made when somebody looks at it.

    Attributes:
        timeouts: Its time-outs, which may be changed.
    """

    __slots__ = ("_made", "_out", "timeouts")

    def __init__(self, out: Outgoing) -> None:
        self._out = out
        self._made: list[httpx2.Request] = []
        self.timeouts = dict(out.timeouts)

    def __call__(self) -> httpx2.Request:
        """The request; each time the same."""
        if not self._made:
            request = self._out.request()
            request.extensions["timeout"] = self.timeouts
            self._made.append(request)
        return self._made[0]


def flowing_response(requested: Callable[[], httpx2.Request], fields: Fields, about: dict[str, Any]) -> httpx2.Response:
    """The response of a stream, as the HTTP library's object.

    Args:
        requested: What it answers.
        fields: Its headers as they came.
        about: What the HTTP library tells of it besides.
    """

    def made() -> httpx2.Response:
        return httpx2.Response(200, headers=fields, stream=stream, request=requested(), extensions=about)

    stream = _Elsewhere()
    return LateResponse(made, stream=stream, is_closed=False)


class Flowing:
    """Reads a stream; see `llmstack._core.transport.Incoming`."""

    __slots__ = ("_arriving", "_place", "_requested", "_started", "native", "watch")

    def __init__(
        self,
        arriving: Joins,
        requested: Callable[[], httpx2.Request],
        response: httpx2.Response,
        watch: Watch,
        started: float,
    ) -> None:
        """Take over a connection.

        Args:
            arriving: The body.
            requested: What it answers.
            response: The HTTP library's object for it.
            watch: Who watches the bytes.
            started: When it was asked, by the performance counter.
        """
        self.native: Any = response
        self.watch = watch
        self._requested = requested
        self._arriving = arriving
        self._place: Any = response.stream
        self._started = started

    def read(self) -> bytes | None:
        """The next bytes, None at the end."""
        try:
            return self._arriving.read()
        except httpx2.HTTPError as error:
            self._raise(error)

    async def aread(self) -> bytes | None:
        """The next bytes, None at the end."""
        try:
            return await self._arriving.aread()
        except httpx2.HTTPError as error:
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        ours = translated(error, self._requested())
        try:
            raise ours from error
        finally:
            del error, ours  # they hold this frame

    def close(self) -> None:
        """Give the connection back."""
        self._end()
        # What follows the end marker is the end of the body: read, and the connection can be used again.
        self._arriving.close(drain=self.watch.done)

    async def aclose(self) -> None:
        """Give the connection back."""
        self._end()
        await self._arriving.aclose(drain=self.watch.done)

    def _end(self) -> None:
        self._place.elapsed = timedelta(seconds=time.perf_counter() - self._started)
