"""A stream of one API, read as one of the other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack import Call
from llmstack._wire.incoming import BytesIncoming
from llmstack._wire.sdk import api_error
from llmstack._wire.watch import EventWatch
from llmstack.transports._translation.chat_chunks import ChatChunks
from llmstack.transports._translation.incoming import CHAT, RESPONSES, TranslatedIncoming

REQUEST = httpx2.Request("POST", "https://example.com/v1/responses")
CREATED = {"type": "response.created", "response": {"id": "resp_1", "created_at": 5, "model": "m"}}
COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}


def delta(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text}


def wire(*events: Any) -> bytes:
    """Events as the Responses API sends them; text goes out as it is."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def watch(endpoint: str, **more: Any) -> EventWatch:
    call = Call(path=f"/{endpoint.replace('.', '/')}", endpoint=endpoint, params={}, stream=True, **more)
    return EventWatch(call, 200, {}, partial(api_error, request=REQUEST))


def incoming(pieces: Iterable[bytes | Exception], **more: Any) -> TranslatedIncoming:
    inner = BytesIncoming(iter(pieces), watch("responses", **more))
    return TranslatedIncoming(inner, watch("chat.completions", **more), ChatChunks({}), CHAT)


def read(stream: TranslatedIncoming) -> list[bytes]:
    pieces: list[bytes] = []
    while (data := stream.read()) is not None:
        pieces.append(data)
    return pieces


def said(data: bytes) -> list[Any]:
    """The data of what was given, parsed."""
    events = [event.removeprefix("data: ") for event in data.decode().split("\n\n") if event]
    return [event if event == "[DONE]" else json.loads(event) for event in events]


def contents(data: bytes) -> list[Any]:
    found = said(data)
    return [one if one == "[DONE]" else one["choices"][0]["delta"].get("content") for one in found]


WHOLE = wire(CREATED, delta("Hé"), delta("llo"), COMPLETED)


def test_events_are_translated_as_they_come():
    """What a read completes is given at once; a read that completes nothing is followed by another."""
    stream = incoming([wire(CREATED), wire(delta("a"))[:9], wire(delta("a"))[9:], wire(COMPLETED)])
    first, second = read(stream)
    assert contents(first) == ["", "a"]
    assert contents(second) == [None, "[DONE]"]
    assert stream.read() is None


@given(st.sets(st.integers(1, len(WHOLE) - 1)))
def test_the_bytes_may_be_split_anywhere(cuts):
    """As a network does it."""
    places = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[start:end] for start, end in pairwise(places)]
    assert contents(b"".join(read(incoming(pieces)))) == ["", "Hé", "llo", None, "[DONE]"]


async def test_async_reads_are_the_same():
    """Suspended where the inner stream is."""
    stream = incoming([WHOLE])
    assert await stream.aread() == read(incoming([WHOLE]))[0]
    await stream.aclose()
    assert await stream.aread() is None


def test_nothing_follows_the_end():
    """Whatever a server still sends."""
    data = b"".join(read(incoming([WHOLE, wire(delta("more"), "[DONE]", COMPLETED)])))
    assert contents(data)[-1] == "[DONE]"
    assert data.count(b"[DONE]") == 1


def test_a_stream_cut_short_has_no_end():
    """So that whoever reads it sees that it is not whole."""
    stream = incoming([wire(CREATED, delta("a"))])
    assert contents(b"".join(read(stream))) == ["", "a"]


def test_a_name_stands_in_for_a_type():
    """Some servers send it only there."""
    event = delta("a")
    kind = event.pop("type")
    stream = incoming([f"event: {kind}\n".encode() + wire(event), wire(COMPLETED)])
    assert contents(b"".join(read(stream))) == ["", "a", None, "[DONE]"]


def test_half_a_surrogate_pair_passes():
    """It is text in JSON, if not in UTF-8."""
    (first, *_) = said(b"".join(read(incoming([wire(delta("\ud800"))]))))[1:]
    assert first["choices"][0]["delta"]["content"] == "\ud800"


def test_an_event_that_is_no_json_is_passed_on():
    """The SDK raises there, as it does in any stream."""
    data = b"".join(read(incoming([wire(delta("a"), "{broken")])))
    assert data.endswith(b"data: {broken\n\n")


def test_an_event_that_is_no_object_says_nothing():
    """Nor does it to the SDK."""
    assert read(incoming([wire("3", "null", "[1]")])) == []


def test_an_error_event_is_told_in_the_other_apis_form():
    """And noticed by its watch; nothing follows it."""
    stream = incoming([wire(delta("a"), {"type": "error", "code": "x", "message": "Sorry"}, delta("b"))])
    data = b"".join(read(stream))
    assert said(data)[-1] == {"error": {"message": "Sorry", "code": "x"}}
    stream.watch.feed(data)
    assert isinstance(failure := stream.watch.failure, openai.APIError)
    assert (failure.message, failure.code) == ("Sorry", "x")


FAULTS: dict[str, tuple[bytes, dict[str, Any], type[Exception]]] = {
    "broken event": (wire(delta("a"), "{broken", delta("b")), {"verify": True}, openai.APIResponseValidationError),
    "html": (b"<html></html>", {"verify": True}, openai.APIResponseValidationError),
    "cut short": (wire(delta("a")), {"strict": True}, openai.APIConnectionError),
    "no utf-8": (wire(delta("a")) + b"data: \xff\n\n", {}, UnicodeDecodeError),
}


@pytest.mark.parametrize("row", FAULTS)
def test_what_is_wrong_with_the_wire_is_raised_after_what_came_before(row):
    """As the inner watch judges it; and again if read again."""
    data, more, kind = FAULTS[row]
    stream = incoming([data], **more)
    given: list[bytes] = []
    with pytest.raises(kind):  # noqa: PT012 - what came before is part of it
        while (piece := stream.read()) is not None:
            given.append(piece)
    assert contents(b"".join(given)) == ([] if row == "html" else ["", "a"])
    with pytest.raises(kind):
        stream.read()


def test_a_lost_connection_is_raised():
    """Where it is lost."""
    lost = openai.APIConnectionError(request=REQUEST)
    stream = incoming([wire(delta("a")), lost])
    assert contents(stream.read() or b"") == ["", "a"]
    with pytest.raises(openai.APIConnectionError):
        stream.read()


def test_the_length_of_other_bytes_is_not_told():
    """The response is the inner one's."""
    inner = BytesIncoming(iter([]), watch("responses"))
    inner.native = httpx2.Response(200, headers={"content-length": "7", "x-request-id": "r"})
    stream = TranslatedIncoming(inner, watch("chat.completions"), ChatChunks({}), CHAT)
    assert dict(stream.native.headers) == {"x-request-id": "r"}
    stream.native = None
    assert inner.native is None


class Echo:
    """A translator that gives what it is fed, and ends with a word."""

    done = False
    failed = False

    def feed(self, event: Any) -> list[Any]:
        return [event]

    def end(self) -> list[Any]:
        self.done = True
        return [{"type": "bye"}]


def test_the_other_dialect_names_its_events_and_ends_at_the_marker():
    """What comes after ``[DONE]`` is not read."""
    inner = BytesIncoming(iter([wire({"type": "hi"}, "[DONE]", {"type": "late"})]), watch("chat.completions"))
    stream = TranslatedIncoming(inner, watch("responses"), Echo(), RESPONSES)
    assert b"".join(read(stream)) == b'event: hi\ndata: {"type":"hi"}\n\nevent: bye\ndata: {"type":"bye"}\n\n'


def test_a_sync_close_closes_the_inner_stream():
    """Also in the middle."""
    stream = incoming([WHOLE])
    stream.close()
    assert stream.read() is None
