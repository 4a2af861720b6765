"""One request and its answer on a borrowed connection: written once, for sync and async programs."""

from __future__ import annotations

import logging
import re
import time
from datetime import timedelta
from functools import partial
from typing import Any, Final

import httpx2

from llmstack._core.effects import Flow, Run
from llmstack._core.reply import Reply
from llmstack._wire.late import LateResponse
from llmstack.transports.chunked import MalformedError
from llmstack.transports.handover import Handover
from llmstack.transports.head import Fields, Head, head_of
from llmstack.transports.lean import Line
from llmstack.transports.prepared import Outgoing

__all__ = ["READ", "converse", "extensions", "response_of", "tell", "whole"]

READ: Final = 64 * 1024
"""Bytes read at once."""

_blank_line: Final = re.compile(rb"\n\r?\n").search
_log: Final = logging.getLogger("httpx2")


def converse(line: Line, out: Outgoing) -> Flow[tuple[Head, bytes] | Handover]:
    """Send a request and read until the head of its answer is there.

    Args:
        line: Where to send it.
        out: The request.

    Returns:
        The head and all bytes read so far; or, if it is no plain "200 OK", what the SDK goes on from.
    """
    data, timeouts = out.data, out.timeouts
    write = partial(line.stream.write, data, timeouts.get("write"))
    read = partial(line.stream.read, READ, timeouts.get("read"))
    received = b""
    wrote = False
    try:
        yield Run(write, write)
        wrote = True
        while True:
            piece = yield Run(read, read)
            received += piece
            if _blank_line(received):
                head = head_of(received)
                return Handover(line, out, received) if head is None else (head, received)
            if not piece or len(received) > READ:
                return Handover(line, out, received)
    except Exception as error:  # noqa: BLE001 - the SDK meets it again
        return Handover(line, out, received, error, wrote=wrote)
    except BaseException:
        yield from line.drop()
        raise


def whole(line: Line, out: Outgoing, head: Head, received: bytes, started: float) -> Flow[Reply | Handover]:
    """Read an answer to its end.

    Args:
        line: Where it comes from.
        out: What it answers.
        head: Its head.
        received: All bytes read so far.
        started: When it was asked, by the performance counter.

    Returns:
        The reply; or, if its end does not come as it should, what the SDK goes on from.
    """
    body = head.body
    read = partial(line.stream.read, READ, out.timeouts.get("read"))
    raw = [received]
    try:
        pieces = [body.feed(received[head.after :])]
        while not body.done:
            piece = yield Run(read, read)
            raw.append(piece)
            if not piece:
                return Handover(line, out, b"".join(raw))
            pieces.append(body.feed(piece))
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        elapsed = time.perf_counter() - started
        response = LateResponse(partial(response_of, out, head.fields, extensions(line.stream, head), content, elapsed))
        if "content-encoding" in head.headers:
            content = response.content
    except (MalformedError, httpx2.DecodingError):
        return Handover(line, out, b"".join(raw))  # the SDK says what is wrong with it
    except Exception as error:  # noqa: BLE001 - the SDK meets it again
        return Handover(line, out, b"".join(raw), error)
    except BaseException:
        yield from line.drop()
        raise
    tell(out, head.reason)
    yield from line.give_back() if head.keeps and not body.rest else line.drop()
    return Reply(content=content, headers=head.headers, native=response)


def response_of(
    out: Outgoing, fields: Fields, about: dict[str, Any], content: bytes, elapsed: float
) -> httpx2.Response:
    """The response as the HTTP library's object.

    Args:
        out: What it answers.
        fields: Its headers as they came.
        about: What the HTTP library tells of it besides.
        content: Its body as it came.
        elapsed: Seconds that it took.
    """
    response = httpx2.Response(
        200, headers=fields, stream=httpx2.ByteStream(content), request=out.request(), extensions=about
    )
    response.read()
    response.elapsed = timedelta(seconds=elapsed)
    return response


def extensions(stream: Any, head: Head) -> dict[str, Any]:
    """What the HTTP library tells of a response besides."""
    return {"http_version": b"HTTP/1.1", "reason_phrase": head.reason, "network_stream": stream}


def tell(out: Outgoing, reason: bytes) -> None:
    """Log the request as the HTTP library does."""
    if _log.isEnabledFor(logging.INFO):
        like = out.kind.request
        _log.info('HTTP Request: %s %s "%s %d %s"', like.method, like.url, "HTTP/1.1", 200, reason.decode("ascii"))
