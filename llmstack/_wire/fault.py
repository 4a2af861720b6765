"""Errors for what came and is no answer: what they say, and what they hold.

They tell what came by its kind and size, never by its content; that is in their `body` and `response`, as in the SDK's
own errors. None of them holds anything that leads back to the stream or to who watches it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, cast

import httpx2
from openai import APIConnectionError

from llmstack._core.call import Call
from llmstack._core.reply import Reply
from llmstack._wire.jsontext import MALFORMED, parse
from llmstack._wire.request import bare_request
from llmstack._wire.sdk import body_error, validation_error

__all__ = ["bad_event", "bare_response", "cut_short", "nature", "no_answer", "no_stream", "parsed", "response_of"]

_LENGTHS: Final = frozenset({"content-length", "content-encoding", "transfer-encoding"})


def parsed(content: bytes) -> Any:
    """JSON text as the SDK would read it, UTF-16 included; `MALFORMED` if it is none."""
    return parse(cast("str", content)) if content else MALFORMED  # it takes bytes as well


def nature(content: bytes, *, size: int | None = None, wanted: str = "JSON") -> str:
    """Say what a body is, without a word of it.

    Parameters:
        content: The body, or how it begins.
        size: Bytes of the whole body; those of `content` if not given.
        wanted: What it should have been.

    Returns:
        The end of a sentence, such as ``"is HTML (1234 bytes), not JSON"``.
    """
    start = content[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start:
        return "is empty"
    measure = f"({len(content) if size is None else size} bytes)"
    if start.startswith((b"{", b"[")):
        return f"is broken JSON {measure}" if wanted == "JSON" else f"is JSON {measure}, not {wanted}"
    if start.startswith(b"<"):
        what = "HTML" if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) else "markup"
    else:
        what = "data" if b"\0" in start else "text"
    return f"is {what} {measure}, not {wanted}"


def no_stream(endpoint: str, response: httpx2.Response, size: int) -> Exception:
    """The error for a body that should have been a stream of events and had not one.

    Parameters:
        endpoint: The call's endpoint.
        response: What came; its content may be only the beginning.
        size: Bytes that came.
    """
    content = response.content
    value = parsed(content)
    if isinstance(value, dict) and value.get("error"):
        return body_error(value["error"], response)
    what = nature(content, size=size, wanted="a stream of events")
    body = _text(content) if value is MALFORMED else value
    return validation_error(f"the answer to {_name(endpoint)} {what}", response=response, body=body)


def bad_event(endpoint: str, response: httpx2.Response, data: object) -> Exception:
    """The error for an event that cannot be read; the SDK would raise a bare ``JSONDecodeError``.

    Parameters:
        endpoint: The call's endpoint.
        response: What came.
        data: The event's data.
    """
    size = len(data) if isinstance(data, (str, bytes)) else 0
    unit = "bytes that are no UTF-8" if isinstance(data, bytes) else "characters that are no JSON"
    message = f"an event in the stream of {_name(endpoint)} has {size} {unit}"
    return validation_error(message, response=response, body=data)


def cut_short(request: httpx2.Request) -> Exception:
    """The error for a stream that ended without saying that it was finished."""
    return APIConnectionError(message="The stream ended before it was finished.", request=request)


def bare_response(status: int, headers: Mapping[str, str], request: Any, content: bytes = b"") -> httpx2.Response:
    """A response for an error to hold: the real one, whose stream leads to what watches it, would make a cycle."""
    kept = [(name, value) for name, value in _items(headers) if name.lower() not in _LENGTHS]
    response = httpx2.Response(status, headers=kept, content=content, request=request)
    response.elapsed = timedelta()  # else asking for it raises
    return response


def no_answer(call: Call, reply: Reply, what: str, value: Any = MALFORMED) -> Exception:
    """The error for a complete reply that is none.

    Parameters:
        call: The call.
        reply: What came.
        what: What is wrong with it, as the end of a sentence.
        value: Its JSON; `MALFORMED` if it has none.
    """
    response = response_of(call, reply)
    body = _text(reply.content or b"") if value is MALFORMED else value
    return validation_error(f"the answer to {_name(call.endpoint)} {what}", response=response, body=body)


def response_of(call: Call, reply: Reply) -> Any:
    """The transport's own response, or one that says the same."""
    native = reply.native
    # It may not have come by HTTP, or be a response that nobody asked for.
    with contextlib.suppress(AttributeError, RuntimeError):
        if native.request is not None and native.status_code == reply.status:
            return native
    return bare_response(reply.status, reply.headers, bare_request(call), reply.content or b"")


def _items(headers: Any) -> Iterable[tuple[str, str]]:
    # A header may be there several times.
    return headers.multi_items() if hasattr(headers, "multi_items") else headers.items()  # type: ignore[no-any-return]


def _name(endpoint: str) -> str:
    return endpoint or "the call"


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
