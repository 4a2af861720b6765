"""An answer that is streamed past the HTTP client."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

import httpx2

from llmstack._core.transport import Watch
from llmstack._wire.incoming import Joins
from llmstack._wire.sdk import translated
from llmstack.transports.prepared import Outgoing

__all__ = ["Flowing", "flowing_response"]


class _Elsewhere(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Stands where the response's bytes would come from; they come from `Flowing`."""

    elapsed: timedelta | None = None


def flowing_response(out: Outgoing, fields: Sequence[tuple[bytes, bytes]], about: dict[str, Any]) -> httpx2.Response:
    """The response of a stream, as the HTTP library's object.

    Args:
        out: What it answers.
        fields: Its headers as they came.
        about: What the HTTP library tells of it besides.
    """
    return httpx2.Response(200, headers=[*fields], stream=_Elsewhere(), request=out.request(), extensions=about)


class Flowing:
    """Reads a stream; see `llmstack._core.transport.Incoming`."""

    __slots__ = ("_arriving", "_place", "_request", "_started", "native", "watch")

    def __init__(self, arriving: Joins, response: httpx2.Response, watch: Watch, started: float) -> None:
        """Take over a connection.

        Args:
            arriving: The body.
            response: The HTTP library's object for it.
            watch: Who watches the bytes.
            started: When it was asked, by the performance counter.
        """
        self.native: Any = response
        self.watch = watch
        self._request = response.request
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
        ours = translated(error, self._request)
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
