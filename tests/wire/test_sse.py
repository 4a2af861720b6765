"""The decoder against the SDK's own, on odd streams split everywhere; and encoding as its inverse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from llmstack._wire.sse import Decoder, ServerSentEvent, encode

ODD = [
    b"",
    b"\n",
    b"data: {}\n\n",
    b'data: {"a": 1}\n\ndata: {"b": 2}\n\ndata: [DONE]\n\n',
    b"data: x\r\n\r\ndata: y\r\n\r\n",
    b"data: x\r\rdata: y\r\r",
    b"data: x\r\r\ndata: y\n\r\n\r",
    b"data: x\n\rdata: y\r\n\n",
    b"data:x\n\ndata:  x\n\ndata\n\ndata:\n\ndata: \n\n",
    b"data: a\ndata: b\n\ndata: c\ndata\ndata: d\n\n",
    b"event: e\ndata: x\n\nevent: e\n\nevent:\ndata: x\n\nevent: \n\n",
    b"event: one\nevent: two\ndata: x\n\ndata: x\nevent: three\n\n",
    b"event: one\nevent: two\n\nevent: one\nid: 3\ndata: x\n\ndata: y\n\n\n",
    b": comment\n\n:\n\n: x\ndata: y\n: z\ndata: z\n\n",
    b"id: 1\ndata: x\n\ndata: y\n\n\n\nid\ndata: z\n\n\nid: a\x00b\ndata: w\n\n",
    b"retry: 10\ndata: x\n\ndata: y\n\nretry: 5\n\nretry: abc\n\nretry: -1\n\nretry:  7 \n\nretry: 1_0\n\nretry:\n\n",
    b"retry: 10\n" + b"data: x\n\n" * 2 + b"retry: " + b"9" * 5000 + b"\ndata: y\n\n",
    b"foo: bar\ndata x\ndatax: y\n data: z\nDATA: w\n\n",
    b"\xef\xbb\xbfdata: x\n\ndata: y\n\n",
    b"data: x\n\n\xef\xbb\xbfdata: y\n\n",
    "data: h\u00e9llo \u20ac \U0001f600 \u2028 \x85 \x0b \x0c \x1c\n\nevent: \U0001f600\ndata: \u2029\n\n".encode(),
    b"data: unfinished",
    b"data: x\n\ndata: unfinished\n",
    b"data: x\n\nevent: y\ndata: unfinished\r",
    b"data: x:y: z\n\nevent: a:b\ndata: :\n\n",
    b"data: a\xff\n\n",
    b"data: good\n\ndata: b\xff\n\ndata: never\n\n",
    b": \xff comment\n\ndata: x\n\n",
    b"data: x\n\nfoo\xc3\n\xa9\n\n",
    b"data: x\n\ndata: cut \xe2\x82",
    b"data: x\n\xe2\x82",
    b"data: \x00\x01\x7f\n\nevent: \x00\ndata: x\n\n",
    b"data: " + b"y" * 100 + b"\n" * 7 + b"event: z\ndata: " + b"y" * 100 + b"\n" * 3,
]

PIECES = [
    b"data: ", b"data:", b"data", b"event: ", b"event:", b"id: ", b"id:", b"retry: ", b"\n", b"\n\n", b"\r", b"\r\n",
    b"\r\n\r\n", b":", b" ", b"x", b'{"a":1}', b"[DONE]", b"12", b"\x00", b"\xef\xbb\xbf", b"\xe2\x82\xac", b"\xe2",
    b"\x82", b"\xff", "\u2028".encode(), b"foo: bar\n", b"data: {}\n\n", b"event: e\ndata: {}\n\n",
]  # fmt: skip


def sdk(pieces: list[bytes]) -> tuple[list[Any], str | None]:
    """What the SDK makes of a stream: its events, and its error."""
    events: list[Any] = []
    try:
        events.extend((e.event, e.data, e.id, e.retry) for e in SSEDecoder().iter_bytes(iter(pieces)))
    except UnicodeDecodeError as error:
        return events, str(error)
    return events, None


def ours(pieces: list[bytes]) -> tuple[list[Any], str | None]:
    """What the decoder makes of it."""
    decoder = Decoder()
    events: list[Any] = []
    try:
        for piece in pieces:
            events += map(tuple, decoder.feed(piece))
        events += map(tuple, decoder.end())
    except UnicodeDecodeError as error:
        return events, str(error)
    return events, None


@pytest.mark.parametrize("stream", ODD)
def test_equal_to_the_sdk_at_every_split(stream: bytes) -> None:
    """Whole, in two pieces at every place, and byte by byte."""
    want = sdk([stream])
    assert ours([stream]) == want
    for cut in range(len(stream) + 1):
        pieces = [stream[:cut], stream[cut:]]
        assert ours(pieces) == sdk(pieces) == want
    assert ours([bytes([byte]) for byte in stream]) == want


@pytest.mark.parametrize("stream", [s for s in ODD if len(s) < 80])
def test_equal_to_the_sdk_in_three_pieces(stream: bytes) -> None:
    """In three pieces, at every pair of places."""
    want = sdk([stream])
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert ours([stream[:first], stream[first:second], stream[second:]]) == want


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=40), st.data())
def test_equal_to_the_sdk_on_anything(parts: list[bytes], data: st.DataObject) -> None:
    """Mangled streams, split at random."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert ours(pieces) == sdk(pieces) == sdk([stream])


def test_a_failed_decoder_stays_failed() -> None:
    """Events before the broken line are delivered; then every call raises."""
    decoder = Decoder()
    assert decoder.feed(b"data: x\n\ndata: \xff\n\n") == [ServerSentEvent(data="x")]
    for _ in range(2):
        with pytest.raises(UnicodeDecodeError):
            decoder.feed(b"data: y\n\n")
        with pytest.raises(UnicodeDecodeError):
            decoder.end()


def test_a_long_event_in_small_pieces_is_linear() -> None:
    """A line of 4 MB in pieces of 1 KB, and an event of 40,000 lines."""
    decoder = Decoder()
    piece = b"x" * 1024
    assert decoder.feed(b"data: ") == []
    for _ in range(4096):
        assert decoder.feed(piece) == []
    (event,) = decoder.feed(b"\n\n")
    assert len(event.data) == 4096 * 1024
    for _ in range(40_000):
        assert decoder.feed(b"data: x\n") == []
    (event,) = decoder.feed(b"\n")
    assert event.data.count("\n") == 39_999


lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))
events = st.builds(
    ServerSentEvent,
    event=st.none() | lines.filter(bool),
    data=st.lists(lines).map("\n".join),
    id=st.none() | lines.filter(lambda text: "\0" not in text),
    retry=st.none() | st.integers(),
)


@given(events)
def test_encode_is_the_inverse(event: ServerSentEvent) -> None:
    """An encoded event comes back, from our decoder and from the SDK's."""
    decoder = Decoder()
    assert decoder.feed(encode(event)) == [event]
    assert decoder.end() == []
    assert sdk([encode(event)]) == ([tuple(event)], None)


def test_encode_cannot_be_made_to_forge_events() -> None:
    """Line breaks in the data stay data; elsewhere, and a NUL in the id, they are refused."""
    assert Decoder().feed(encode(ServerSentEvent(data="a\rb\r\nc\n\nevent: x"))) == [
        ServerSentEvent(data="a\nb\nc\n\nevent: x")
    ]
    for bad in (ServerSentEvent("a\nb"), ServerSentEvent("a\rb"), ServerSentEvent(id="a\nb"), ServerSentEvent(id="\0")):
        with pytest.raises(ValueError, match="cannot hold"):
            encode(bad)


def test_the_event_is_the_sdks_and_discreet() -> None:
    """Same JSON, same exceptions; no text in the repr."""
    event = ServerSentEvent("e", '{"secret": 1}', "1", 2)
    assert event.json() == {"secret": 1}
    assert repr(event) == "ServerSentEvent(event='e', data=<13 chars>, id='1', retry=2)"
    assert str(event) == repr(event) == f"{event}"
    with pytest.raises(json.JSONDecodeError):
        ServerSentEvent(data="{").json()
    assert event == ServerSentEvent("e", '{"secret": 1}', "1", 2) != ServerSentEvent("f", '{"secret": 1}', "1", 2)
    assert not hasattr(event, "__dict__")
