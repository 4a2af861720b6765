"""From a complete reply to the model that the program gets, in one step; the SDK takes five, all of them in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstack._core.call import Call
from llmstack._core.reply import Reply
from llmstack._wire.late import LateResponse
from llmstack._wire.parse import UNPARSED, parser_of
from llmstack._wire.request import SDKRequest
from llmstack._wire.sdk import RAW_RESPONSE_HEADER, NotGiven
from llmstack._wire.sdk_hot import decodes_vectors, parses_as_usual, with_request_id
from llmstack._wire.vectors import decode_vectors

__all__ = ["finished"]


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
