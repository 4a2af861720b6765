"""Answers byte by byte: whole and in pieces, of every form, and broken."""

from __future__ import annotations

import gzip

from tests.clients.raw_server import Said

CHAT = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"new":1}'
)
CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":%b}]}\n\n'
DELTAS = (b'{"role":"assistant","content":""}', b'{"content":"h"}', b'{"content":"i"}')
EVENTS = b"".join(CHUNK % delta for delta in DELTAS) + b"data: [DONE]\n\n"
JSON = b"content-type: application/json\r\n"
SSE = b"content-type: text/event-stream\r\n"


def head(*more: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer's head, with these headers besides."""
    return b"HTTP/1.1 " + status + b"\r\nx-request-id: req_1\r\n" + b"".join(more) + b"\r\n"


def sized(body: bytes, *more: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer that tells its length."""
    return head(*more, b"content-length: %d\r\n" % len(body), status=status) + body


def chunks(body: bytes, size: int = 50, *, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    """A body in chunks."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    return framed + b"0\r\n" + trailers + b"\r\n"


CHUNKED = b"transfer-encoding: chunked\r\n"
PLAIN = sized(CHAT, JSON)
STREAM = head(SSE, CHUNKED) + chunks(EVENTS)


def bytewise(answer: bytes) -> tuple[bytes, ...]:
    """One byte at a time."""
    return tuple(answer[i : i + 1] for i in range(len(answer)))


def halves(answer: bytes, at: int) -> tuple[bytes, ...]:
    return answer[:at], answer[at:]


WHOLE: dict[str, Said] = {
    "plain": Said((PLAIN,)),
    "byte by byte": Said(bytewise(PLAIN)),
    "head and body apart": Said(halves(PLAIN, PLAIN.index(b"\r\n\r\n") + 4)),
    "head in halves": Said(halves(PLAIN, 30)),
    "chunked": Said((head(JSON, CHUNKED) + chunks(CHAT),)),
    "chunked, byte by byte": Said(bytewise(head(JSON, CHUNKED) + chunks(CHAT))),
    "chunks with extensions": Said((head(JSON, CHUNKED) + chunks(CHAT, extension=b";a=b"),)),
    "chunks with trailers": Said((head(JSON, CHUNKED) + chunks(CHAT, trailers=b"x-sum: 1\r\n"),)),
    "an empty body in chunks": Said((head(JSON, CHUNKED) + b"0\r\n\r\n",)),
    "gzip": Said((sized(gzip.compress(CHAT), JSON, b"content-encoding: gzip\r\n"),)),
    "gzip in chunks": Said((head(JSON, CHUNKED, b"content-encoding: gzip\r\n") + chunks(gzip.compress(CHAT)),)),
    "broken gzip": Said((sized(b"no gzip", JSON, b"content-encoding: gzip\r\n"),)),
    "unknown encoding": Said((sized(CHAT, JSON, b"content-encoding: what\r\n"),)),
    "no type": Said((sized(CHAT),)),
    "another type": Said((sized(CHAT, b"content-type: text/plain; charset=utf-8\r\n"),)),
    "JSON of another type": Said((sized(CHAT, b"content-type: application/vnd.api+json; charset=utf-8\r\n"),)),
    "text": Said((sized(b"hello", b"content-type: text/plain\r\n"),)),
    "broken JSON": Said((sized(CHAT[:40], JSON),)),
    "null": Said((sized(b"null", JSON),)),
    "empty": Said((sized(b"", JSON),)),
    "an error with 200": Said((sized(b'{"error":{"message":"no","code":"c"}}', JSON),)),
    "connection: close": Said((sized(CHAT, JSON, b"connection: close\r\n"),), "close"),
    "until the end": Said((head(JSON) + CHAT,), "close"),
    "HTTP/1.0": Said((PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),), "close"),
    "HTTP/0.9": Said((CHAT,), "close"),
    "a reason of its own": Said((sized(CHAT, JSON, status=b"200 Very well"),)),
    "no reason": Said((sized(CHAT, JSON, status=b"200 "),)),
    "no reason and no space": Said((sized(CHAT, JSON, status=b"200"),)),
    "201": Said((sized(CHAT, JSON, status=b"201 Created"),)),
    "204": Said((head(status=b"204 No Content"),)),
    "hints first": Said((b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + PLAIN,)),
    "100 first": Said((b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,)),
    "folded header": Said((sized(CHAT, JSON, b"x-folded: a\r\n b\r\n"),)),
    "spaces around a value": Said((sized(CHAT, JSON, b"x-spaced: \t a b \t\r\n"),)),
    "an empty value": Said((sized(CHAT, JSON, b"x-empty:\r\nx-empty-too: \r\n"),)),
    "a header twice": Said((sized(CHAT, JSON, b"x-two: 1\r\nX-Two: 2\r\n"),)),
    "a header in Latin": Said((sized(CHAT, JSON, b"x-latin: \xe9\r\n"),)),
    "a header in UTF-8": Said((sized(CHAT, JSON, "x-utf: \u00e9\r\n".encode()),)),
    "a header without a colon": Said((sized(CHAT, JSON, b"what\r\n"),)),
    "a header with a space in its name": Said((sized(CHAT, JSON, b"x y: z\r\n"),)),
    "a control character in a header": Said((sized(CHAT, JSON, b"x-odd: a\x01b\r\n"),)),
    "the length twice": Said((sized(CHAT, JSON, b"content-length: %d\r\n" % len(CHAT)),)),
    "two lengths": Said((sized(CHAT, JSON, b"content-length: 7\r\n"),)),
    "a negative length": Said((head(JSON, b"content-length: -1\r\n") + CHAT,), "close"),
    "a length that is none": Said((head(JSON, b"content-length: 1_0\r\n") + CHAT,), "close"),
    "length and chunks": Said((head(JSON, CHUNKED, b"content-length: 7\r\n") + chunks(CHAT),)),
    "an unknown transfer encoding": Said((head(JSON, b"transfer-encoding: gzip\r\n") + CHAT,), "close"),
    "too short a body": Said((PLAIN[:-5],), "close"),
    "no body at all": Said((PLAIN[: PLAIN.index(b"\r\n\r\n") + 4],), "close"),
    "half a head": Said((PLAIN[:30],), "close"),
    "nothing": Said((), "close"),
    "reset": Said((), "reset"),
    "reset in the body": Said((PLAIN[:-5],), "reset"),
    "garbage": Said((b"\x00\x01\x02 what is this\r\n\r\n",), "close"),
    "a cut chunk": Said((head(JSON, CHUNKED) + chunks(CHAT)[:70],), "close"),
    "a chunk that is none": Said((head(JSON, CHUNKED) + b"zz\r\n" + CHAT,), "close"),
    "a negative chunk": Said((head(JSON, CHUNKED) + b"-5\r\n" + CHAT,), "close"),
    "a chunk without its end": Said((head(JSON, CHUNKED) + b"5\r\nabcdefgh\r\n0\r\n\r\n",), "close"),
    "lines that end with LF": Said((PLAIN.replace(b"\r\n", b"\n"),)),
    "a cookie": Said((sized(CHAT, JSON, b"set-cookie: a=b; path=/\r\n"),)),
    "a redirect": Said((head(b"location: /v1/elsewhere\r\ncontent-length: 0\r\n", status=b"307 Temporary Redirect"),)),
    "a location that is no redirect": Said((sized(CHAT, JSON, b"location: /v1/elsewhere\r\n"),)),
    "an upgrade": Said((sized(CHAT, JSON, b"upgrade: h2c\r\n"),)),
    "101": Said((head(b"upgrade: x\r\nconnection: upgrade\r\n", status=b"101 Switching Protocols"),), "close"),
    "400": Said((sized(b'{"error":{"message":"bad","code":"c"}}', JSON, status=b"400 Bad Request"),)),
    "500, not again": Said((sized(b"no", b"x-should-retry: false\r\n", status=b"500 Oops"),)),
}
STREAMED: dict[str, Said] = {
    "plain": Said((STREAM,)),
    "byte by byte": Said(bytewise(STREAM)),
    "sized": Said((sized(EVENTS, SSE),)),
    "until the end": Said((head(SSE) + EVENTS,), "close"),
    "connection: close": Said((head(SSE, CHUNKED, b"connection: close\r\n") + chunks(EVENTS),), "close"),
    "chunks of a byte": Said((head(SSE, CHUNKED) + chunks(EVENTS, 1),)),
    "trailers": Said((head(SSE, CHUNKED) + chunks(EVENTS, trailers=b"a: b\r\n"),)),
    "no end marker": Said((head(SSE, CHUNKED) + chunks(EVENTS[: -len("data: [DONE]\n\n")]),)),
    "cut short": Said((head(SSE, CHUNKED) + chunks(EVENTS)[:200],), "close"),
    "reset": Said((head(SSE, CHUNKED) + chunks(EVENTS)[:200],), "reset"),
    "too short": Said((sized(EVENTS, SSE)[:-60],), "close"),
    "a chunk that is none": Said((head(SSE, CHUNKED) + chunks(EVENTS, 400)[:-100] + b"zz\r\n",), "close"),
    "an error": Said((head(SSE, CHUNKED) + chunks(EVENTS[:-14] + b'data: {"error":{"message":"no"}}\n\n'),)),
    "no event": Said((head(SSE, CHUNKED) + chunks(b"<html>"),)),
    "JSON": Said((PLAIN,)),
    "a cookie": Said((head(SSE, CHUNKED, b"set-cookie: a=b\r\n") + chunks(EVENTS),)),
    "400": Said((sized(b'{"error":{"message":"bad"}}', JSON, status=b"400 Bad Request"),)),
}
