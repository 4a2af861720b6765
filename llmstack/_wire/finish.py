"""From a reply to what the program gets, in one step; the SDK takes five, all of them in Python."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, get_args, get_origin

import openai

from llmstack._core.call import Call
from llmstack._core.reply import Reply
from llmstack._drivers.stream import AsyncStream, Stream
from llmstack._wire.complete import complete
from llmstack._wire.late import LateResponse
from llmstack._wire.parse import UNPARSED, parser_of
from llmstack._wire.request import SDKRequest
from llmstack._wire.sdk import RAW_RESPONSE_HEADER, NotGiven
from llmstack._wire.sdk_hot import decodes_vectors, parses_as_usual, with_request_id
from llmstack._wire.vectors import decode_vectors

__all__ = ["finished", "streamed"]


def finished(call: Call, reply: Reply) -> Any:
    """What the SDK would make of a reply.

    Args:
        call: The call as the program made it.
        reply: Its reply.

    Returns:
        The model; `UNPARSED` if the SDK must see to it: a raw response was asked for, the answer is no JSON, or no
        parser is known for its type.

    Raises:
        Exception: What the SDK's own ``.parse()`` helpers raise for an answer that they cannot read.
    """
    request: SDKRequest = call.request
    if call.raw or not parses_as_usual(request.client) or _is_raw(reply.native):
        return UNPARSED
    headers = _headers(reply)
    if not headers.get("content-type", "*").partition(";")[0].endswith("json"):
        return UNPARSED
    try:
        parser = parser_of(request.cast_to)
    except TypeError:  # not hashable
        return UNPARSED
    parsed = UNPARSED if parser is None else parser.content(reply.content or b"")
    if parsed is UNPARSED:
        return UNPARSED
    post_parser = request.options.post_parser
    if not isinstance(post_parser, NotGiven):
        if decodes_vectors(post_parser):
            decode_vectors(parsed)
        parsed = post_parser(parsed)
    return with_request_id(parsed, headers.get("x-request-id"))


def streamed(call: Call, response: Any) -> Any:
    """What the SDK would make of a response that is read event by event.

    Args:
        call: The call as the program made it.
        response: The response, tapped.

    Returns:
        The stream; `UNPARSED` if the SDK must see to it: the response has been looked at, or is wanted, or the program
        has a stream class of its own.
    """
    request: SDKRequest = call.request
    client, kind = request.client, request.cast_to
    if call.raw or type(response) is not LateResponse or not parses_as_usual(client):
        return UNPARSED
    if not (isinstance(kind, type) and issubclass(kind, openai.BaseModel)):
        return UNPARSED
    if not isinstance(request.options.post_parser, NotGiven):
        return UNPARSED
    found = _stream_class(request.stream_cls)
    if found is None:
        return UNPARSED
    made, chunk = found
    complete(request.stream_cls)
    return made(cast_to=chunk, response=response, client=client, options=request.options)


@lru_cache(maxsize=64)
def _stream_class(theirs: Any) -> tuple[Any, Any] | None:
    """Our class for one of the SDK's streams, and the type of its chunks; None if it is none of those."""
    known: dict[Any, Any] = {openai.Stream: Stream, openai.AsyncStream: AsyncStream}
    ours = known.get(get_origin(theirs))
    return None if ours is None else (ours[get_args(theirs)], *get_args(theirs))


def _is_raw(native: Any) -> bool:
    """Whether a layer has asked for a raw response on its own account."""
    return native is not None and type(native) is not LateResponse and RAW_RESPONSE_HEADER in native.request.headers


def _headers(reply: Reply) -> Mapping[str, str]:
    if type(reply.native) is LateResponse:
        return reply.headers
    if reply.native is not None:
        headers: Mapping[str, str] = reply.native.headers
        return headers
    return {"content-type": "application/json", **{name.lower(): value for name, value in reply.headers.items()}}
