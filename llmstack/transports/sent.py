"""A request that the program's HTTP client has sent, and what came of it, for the SDK to go on from.

Where something must be seen by an HTTP client itself (hooks, tracing, cookies, another kind of connection) the client
sends the prepared request, and only what the SDK does around that is left out: building it, and copying its options.
Where it fails the SDK is given the failure as that of its own first attempt.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from llmstack._core.effects import Flow, Run
from llmstack.transports.prepared import Outgoing

if TYPE_CHECKING:
    import httpx2

__all__ = ["Asked", "Sent"]


class Sent:
    """What came of a request. In a ``with`` block, the same one that the SDK sends has the same fate."""

    __slots__ = ("_error", "_out", "_response", "_token")

    _handed: ClassVar[ContextVar[list[Sent] | None]] = ContextVar("llmstack_sent", default=None)

    def __init__(self, out: Outgoing, response: Any = None, error: Exception | None = None) -> None:
        """Keep what came.

        Args:
            out: The request.
            response: The answer.
            error: The error, if there was none.
        """
        self._out, self._response, self._error = out, response, error
        self._token: Any = None

    def __enter__(self) -> Self:
        """Hand it to the next request."""
        self._token = self._handed.set([self])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        self._handed.reset(self._token)
        self._error = None  # its traceback leads here

    @classmethod
    def take(cls, request: httpx2.Request) -> Sent | None:
        """What was handed to a request that is about to be sent; only once.

        Args:
            request: The request. If it is another than the one that was sent, nothing is.
        """
        handed = cls._handed.get()
        return handed.pop() if handed and handed[0]._out.is_like(request) else None  # noqa: SLF001 - its own

    def result(self) -> Any:
        """The answer.

        Raises:
            Exception: The error.
        """
        error, self._error = self._error, None
        response, self._response = self._response, None
        if error is None:
            return response  # the SDK closes what it is given
        try:
            raise error
        finally:
            del error  # it holds this frame

    def abandoned(self) -> Flow[None]:
        """Close the answer if nobody went on with it: the call was cancelled in between."""
        response = self._response
        if response is not None:
            self._response = None
            yield Run(response.close, response.aclose, shield=True)


class Asked(Sent):
    """The same of a request that went over a session of aiohttp, for the HTTP client to go on from."""

    __slots__ = ()

    _handed = ContextVar("llmstack_asked", default=None)

    def abandoned(self) -> Flow[None]:
        """Close the connection if nobody went on with it."""
        response, self._response = self._response, None
        if response is not None:
            yield Run(response.close, None)
