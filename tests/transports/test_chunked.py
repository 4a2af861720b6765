"""Bodies in chunks and heads of answers, against h11, which is what the SDK's HTTP client reads them with."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack.transports.chunked import Chunked, MalformedError, Sized
from llmstack.transports.head import head_of

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
BODIES = [
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n1\r\n!\r\n0b\r\nhello\r\nworl\r\n0\r\n\r\n",
    b"2\r\n\r\n\r\n2\r\n0\r\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n0;c\r\n\r\n",
    b"5 \t\r\nhello\r\n000\r\n\r\n",
    b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\nx: y\r\nz: w\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK",
]
BROKEN = [
    b"zz\r\nhello\r\n",
    b"-5\r\nhello\r\n",
    b"0x5\r\nhello\r\n",
    b"5_0\r\nhello\r\n",
    b" 5\r\nhello\r\n",
    b"\r\nhello\r\n",
    b"5\r\nhelloworld\r\n0\r\n\r\n",
    b"123456789012345678901\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\n\n0\r\n\r\n",
    b"5\r\nhello?\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"5\r\nhello\r\n0\r\nx: a\x00b\r\n\r\n",
]


def by_h11(body: bytes) -> bytes:
    """The body's own bytes."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(HEAD + body)
    data = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert event not in (h11.NEED_DATA, h11.PAUSED)
        if isinstance(event, h11.Data):
            data += event.data
    return data


@pytest.mark.parametrize("body", BODIES)
def test_chunks_split_anywhere_give_the_same_body(body: bytes) -> None:
    """In three pieces, at every two places; and byte by byte."""
    expected = by_h11(body)
    cuts = [(i, j) for i in range(len(body) + 1) for j in range(i, len(body) + 1)]
    for pieces in [*([body[:i], body[i:j], body[j:]] for i, j in cuts), [body[i : i + 1] for i in range(len(body))]]:
        chunked, data, fed = Chunked(), b"", 0
        for piece in pieces:
            if chunked.done:
                break
            data += chunked.feed(piece)
            fed += len(piece)
        assert (data, chunked.done) == (expected, True)
        assert chunked.rest == body[:fed][len(body.partition(b"HTTP")[0]) :]


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_chunk_is_refused(body: bytes) -> None:
    """As h11 refuses it."""
    with pytest.raises(h11.RemoteProtocolError):
        by_h11(body)
    with pytest.raises(MalformedError):
        Chunked().feed(body)
    chunked = Chunked()
    with pytest.raises(MalformedError):  # noqa: PT012 - whichever byte shows it
        for i in range(len(body)):
            chunked.feed(body[i : i + 1])


def test_a_line_or_trailers_without_an_end_are_refused() -> None:
    """Instead of being kept for ever."""
    for start in (b"", b"0\r\n"):
        chunked = Chunked()
        chunked.feed(start + b"1;")
        chunked.feed(b"x" * 50_000)
        with pytest.raises(MalformedError):
            chunked.feed(b"x" * 60_000)


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8), st.lists(st.integers(0, 200), max_size=5))
def test_any_chunks_split_anywhere_give_their_bytes(chunks: list[bytes], places: list[int]) -> None:
    """Also those that look like the lines between them."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    chunked, data, at = Chunked(), b"", 0
    for place in [*sorted(places), len(body)]:
        if place > at and not chunked.done:
            data += chunked.feed(body[at:place])
            at = place
    assert (data, chunked.done, chunked.rest) == (b"".join(chunks), True, b"")


def test_a_sized_body_ends_where_it_should() -> None:
    """What follows is told apart."""
    sized = Sized(5)
    assert (sized.feed(b"he"), sized.done) == (b"he", False)
    assert (sized.feed(b"lloworld"), sized.done, sized.rest, sized.got) == (b"llo", True, b"world", 5)
    assert Sized(0).done


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])


def test_a_plain_head_is_read() -> None:
    """Names in lower case, values without the space around them, fields as they came."""
    data = (
        head(b"Content-Type:application/json", b"X-Two: 1", b"x-two:  2 \t", b"Content-Length: 3", b"Empty:") + b"abc"
    )
    found = head_of(data)
    assert found is not None
    assert found.headers == {"content-type": "application/json", "x-two": "1, 2", "content-length": "3", "empty": ""}
    assert found.fields[:2] == [("Content-Type", "application/json"), ("X-Two", "1")]
    assert (found.reason, found.keeps, data[found.after :]) == (b"OK", True, b"abc")
    assert isinstance(found.body, Sized)


ODD = [
    b"HTTP/1.1 201 Created\r\ncontent-length: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n",
    b"http/1.1 200 OK\r\ncontent-length: 1\r\n\r\n",
    head(b"no-length: 1"),
    head(b"content-length: 1", b"content-length: 1"),
    head(b"content-length: \xc2\xb2"),
    head(b"content-length: +1"),
    head(b"content-length: 1", b"transfer-encoding: chunked"),
    head(b"transfer-encoding: gzip, chunked"),
    head(b"content-length: 1", b" folded: x"),
    head(b"content-length: 1", b"x: a\x00b"),
    head(b"content-length: 1", b"x: \xff"),
    head(b"content-length: 1", b"x y: z"),
    head(b"content-length: 1", b"x : z"),
    head(b"content-length: 1", b"x"),
    head(b"content-length: 1", b": x"),
    head(b"content-length: 1", b"x: a\nb: c"),
    head(b"content-length: 1", b"x: a\rb: c"),
    head(b"content-length: 1", b"connection: upgrade"),
    head(b"content-length: 1", b"set-cookie: a=b"),
    head(b"content-length: 1", b"location: /x"),
    head(b"content-length: 1").replace(b"\r\n", b"\n"),
]


@pytest.mark.parametrize("data", ODD)
def test_whatever_is_no_plain_head_is_left_to_others(data: bytes) -> None:
    """Another status, doubtful lengths, characters that are not plain, headers with a meaning of their own."""
    assert head_of(data) is None
