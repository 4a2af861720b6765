"""Whatever bytes a server answers with, a program sees of them what it sees through the SDK, and sends the same."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import Stack
from tests.clients.differential import KEY, Attempt, Items, Outcome, aplay, assert_same, play
from tests.clients.raw_server import RawServer, Said, raw_server
from tests.clients.stacks import passthrough
from tests.core.side import trio_complains

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
translates = pytest.mark.skipif(
    not hasattr(import_module("openai._streaming"), "request_exceptions"),
    reason="an older SDK lets its HTTP library's error out of a stream that breaks; we never do",
)
BROKEN = {"cut short", "reset", "too short", "a chunk that is none"}
STREAMS = [pytest.param(name, marks=translates if name in BROKEN else ()) for name in STREAMED]
Program = Callable[[Any], Generator[Any, Any, Any]]


def calls(client: Any) -> Generator[Any, Any, Any]:
    """The same call three times: on a new connection, on the same, on what is left of it."""
    for i in range(3):
        messages = [{"role": "user", "content": f"\u00e9 {i}"}]
        yield Attempt(lambda messages=messages: client.chat.completions.create(model="m", messages=messages))


def streams(client: Any) -> Generator[Any, Any, Any]:
    for i in range(3):
        messages = [{"role": "user", "content": f"\u00e9 {i}"}]
        stream = yield Attempt(
            lambda messages=messages: client.chat.completions.create(model="m", messages=messages, stream=True)
        )
        if not isinstance(stream, Exception):
            yield Attempt(lambda stream=stream: Items(stream))
            yield stream


def seen(server: RawServer) -> Any:
    """The requests, without the port."""
    return [re.sub(rb"127.0.0.1:\d+", b"HOST", request) for request in server.requests]


def played(kind: type, program: Program, answers: Sequence[Said], **given: Any) -> Outcome:
    outcome = Outcome()
    with raw_server(*answers) as server, kind(base_url=server.url, api_key=KEY, timeout=2, **given) as client:
        play(program(client), outcome)
        outcome.received = seen(server)
    return outcome


async def aplayed(kind: type, program: Program, answers: Sequence[Said], **given: Any) -> Outcome:
    outcome = Outcome()
    with raw_server(*answers) as server:
        async with kind(base_url=server.url, api_key=KEY, timeout=2, **given) as client:
            await aplay(program(client), outcome)
        outcome.received = seen(server)
    return outcome


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_what_the_sdk_sees(name: str) -> None:
    """On a new connection and on one that is kept, with a plugin and without."""
    answers = [Said((PLAIN,)), WHOLE[name]]
    theirs = played(openai.OpenAI, calls, answers, max_retries=0)
    for plugins in ([], [passthrough]):
        assert_same(played(llmstack.OpenAI, calls, answers, max_retries=0, stack=Stack(plugins)), theirs)


@trio_complains
@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_is_what_the_async_sdk_sees(name: str) -> None:
    """The same."""
    answers = [Said((PLAIN,)), WHOLE[name]]
    theirs = await aplayed(openai.AsyncOpenAI, calls, answers, max_retries=0)
    ours = await aplayed(llmstack.AsyncOpenAI, calls, answers, max_retries=0, stack=Stack([]))
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_what_the_sdk_sees(name: str) -> None:
    """Chunks, errors and the response."""
    answers = [Said((STREAM,)), STREAMED[name]]
    theirs = played(openai.OpenAI, streams, answers, max_retries=0)
    assert_same(played(llmstack.OpenAI, streams, answers, max_retries=0, stack=Stack([])), theirs)


@trio_complains
@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_what_the_async_sdk_sees(name: str) -> None:
    """The same."""
    answers = [Said((STREAM,)), STREAMED[name]]
    theirs = await aplayed(openai.AsyncOpenAI, streams, answers, max_retries=0)
    assert_same(await aplayed(llmstack.AsyncOpenAI, streams, answers, max_retries=0, stack=Stack([])), theirs)


GZIPPED = Said((head(SSE, CHUNKED, b"content-encoding: gzip\r\n") + chunks(gzip.compress(EVENTS)),))


def test_a_compressed_stream_is_what_the_sdk_sees() -> None:
    """Chunk by chunk. (Its response no longer says that it is compressed: its bytes come as they are.)"""

    def chunked(client: Any) -> Generator[Any, Any, Any]:
        for _ in range(2):
            yield Items(client.chat.completions.create(model="m", messages=[], stream=True))

    theirs = played(openai.OpenAI, chunked, [GZIPPED])
    assert_same(played(llmstack.OpenAI, chunked, [GZIPPED], stack=Stack([])), theirs)


@pytest.mark.parametrize(("program", "answer"), [(calls, PLAIN), (streams, STREAM)])
def test_nothing_that_follows_an_answer_is_taken_for_the_next_one(program: Program, answer: bytes) -> None:
    """The SDK's HTTP client keeps such a connection and reads what is no answer to its next request."""
    answers = [Said((answer + PLAIN.replace(b"hi", b"42"),))]
    with raw_server(*answers) as server, llmstack.OpenAI(base_url=server.url, api_key=KEY, stack=Stack([])) as client:
        outcome = Outcome()
        play(program(client), outcome)
    assert "'42'" not in repr(outcome.steps)


AGAIN = sized(b'{"error":{"message":"later"}}', JSON, b"retry-after-ms: 1\r\n", status=b"503 Busy")
CLOSING = AGAIN.replace(JSON, JSON + b"connection: close\r\n")


@pytest.mark.parametrize(
    "fault", [Said((AGAIN,)), Said((CLOSING,), "close"), Said((), "reset"), Said((PLAIN[:-5],), "close")]
)
def test_what_fails_is_sent_again_as_often_as_the_sdk_does(fault: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same headers, among them how often it was."""
    monkeypatch.setattr("openai._base_client.time.sleep", lambda _seconds: None)
    answers = [Said((PLAIN,)), fault, fault, Said((PLAIN,)), fault]
    theirs = played(openai.OpenAI, calls, answers, max_retries=2)
    assert_same(played(llmstack.OpenAI, calls, answers, max_retries=2, stack=Stack([])), theirs)


def changes(client: Any) -> Generator[Any, Any, Any]:
    """Whatever shows in a request is changed between two of them."""

    def ask(**more: Any) -> Any:
        return client.chat.completions.create(model="m", messages=[], **more)

    yield ask()
    client.api_key = "sk-another"
    yield ask()
    client.organization, client.project = "org", "proj"
    yield ask()
    client._custom_headers["x-new"] = "1"  # noqa: SLF001 - a dictionary that a program may hold
    yield ask()
    client._client.headers["x-http"] = "2"  # noqa: SLF001 - the HTTP client is the program's to change
    yield ask()
    client.timeout = 7
    yield ask()
    client.timeout = httpx2.Timeout(8, read=9)
    yield ask()
    yield ask(timeout=3)
    yield ask(timeout=httpx2.Timeout(4, connect=5))
    yield ask(extra_headers={"X-A": "b", "Authorization": "Bearer other"})
    yield ask(extra_headers={"User-Agent": openai.omit})
    yield ask(extra_headers={"connection": "close"})
    yield ask(extra_body={"more": [1, None, {"\u00e9": 1.5}], "model": "n"})
    yield ask(extra_query={"q": "1"})
    client.base_url = str(client.base_url).replace("/v1/", "/v2/")
    yield ask()
    client._client.cookies.set("a", "b")  # noqa: SLF001 - as above
    yield ask()
    yield client.with_options(default_headers={"x-copy": "1"}, default_query={"v": "2"}).embeddings.create(
        model="m", input="x"
    )


EMBEDDING = sized(b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"m"}', JSON)


def test_what_is_changed_on_a_client_shows_in_its_next_request() -> None:
    """Nothing that was prepared outlives that of which it was made."""
    answers = [*[Said((PLAIN,))] * 16, Said((EMBEDDING,))]
    theirs = played(openai.OpenAI, changes, answers)
    assert len(theirs.received) == 17
    assert_same(played(llmstack.OpenAI, changes, answers, stack=Stack([])), theirs)
