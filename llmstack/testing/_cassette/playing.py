"""Playing: an answer that was recorded, given as it came."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NoReturn

import anyio.lowlevel
import httpx2
from openai import APIConnectionError, APITimeoutError

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack._wire.incoming import HttpIncoming
from llmstack._wire.request import bare_request
from llmstack._wire.sdk import NoTimeLeft, api_error, last_error
from llmstack._wire.watch import BodyWatch, EventWatch
from llmstack.testing._cassette.entry import Answered, Ending
from llmstack.testing._cassette.error import CassetteError

__all__ = ["played"]

_ERROR = 400
_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)")


def played(call: Call, answered: Answered, file: str) -> Flow[Reply | Incoming]:
    """Give an answer as it was recorded.

    Args:
        call: The call.
        answered: What came when it was recorded.
        file: The cassette, for errors.

    Returns:
        The reply, or what is arriving if the call is streamed or read lazily.

    Raises:
        openai.APIError: What was raised then.
    """
    # A real suspension point, where a cancellation can strike as it does on a network.
    yield Run(lambda: None, anyio.lowlevel.checkpoint)
    request = bare_request(call)
    if answered.status is None:
        kind = APITimeoutError if answered.ending == "timeout" else APIConnectionError
        raise kind(request=request)
    headers = dict(answered.headers)
    if answered.status >= _ERROR:
        response = httpx2.Response(answered.status, headers=headers, content=answered.content, request=request)
        raise last_error(call.request.client, NoTimeLeft(), call.request.options, response)
    if not (call.stream or call.raw == "stream"):
        response = httpx2.Response(answered.status, headers=headers, content=answered.content, request=request)
        return Reply(content=answered.content, status=answered.status, headers=response.headers, native=response)
    pieces = [piece for piece in _EVENT_END.split(answered.content) if piece] if call.stream else [answered.content]
    body = _Body(pieces, answered.ending, file)
    response = httpx2.Response(answered.status, headers=headers, stream=body, request=request)
    if not call.stream:
        return HttpIncoming(response, BodyWatch(answered.status, response.headers))
    watch = EventWatch(call, answered.status, response.headers, partial(api_error, request=request))
    return HttpIncoming(response, watch)


class _Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The pieces of a body, and then the end that it came to."""

    def __init__(self, pieces: Sequence[bytes], ending: Ending, file: str) -> None:
        self._pieces = pieces
        self._ending = ending
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        self._end()

    def __aiter__(self) -> _Arriving:
        return _Arriving(iter(self))

    def _end(self) -> None:
        if self._ending != "whole":
            self._break()

    def _break(self) -> NoReturn:
        if self._ending == "timeout":
            raise httpx2.ReadTimeout("the recorded answer took too long here")
        if self._ending == "lost":
            raise httpx2.ReadError("the recorded connection was lost here")
        message = (
            f"{self._file}: the recording of this answer ends here, since the program stopped reading when it was "
            f"made: record it anew (--llm-cassette=all)"
        )
        raise CassetteError(message, file=self._file)


class _Arriving:
    """The pieces one by one, each with a real suspension point."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> _Arriving:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration
