"""Chunk filters rewrite a stream between the wire and the program; the layers' reply stays the wire's."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack._core.progress import Progress
from llmstack.effects import emit, monotonic, now, parallel, run, sleep
from llmstack.events import RetryStopped
from tests.core.filters import Each, Keep, Starting, filtering, saying, text_of
from tests.core.side import MESSAGES, PREAMBLE, Side, lost, spoken, texts


async def text_of_stream(side: Side, rig: Any) -> str:
    return texts(await side.read(await side.do(rig.create(stream=True))))


def test_chunks_are_rewritten(side: Side) -> None:
    """The program sees the filtered text, the layers the wire's."""
    rig = side.rig([filtering(lambda _: Each(str.upper))], [spoken("Hel", "lo")])
    assert side.run(lambda: text_of_stream(side, rig)) == "HELLO"
    assert rig.witness.reply.text == "Hello"


def test_one_chunk_may_become_several_or_none(side: Side) -> None:
    """A filter may split what it gets, and swallow it."""

    class Split:
        def feed(self, c: Any) -> list[Any]:
            return [saying(c, letter) for letter in text_of(c) if letter != "l"] if text_of(c) else [c]

        def end(self) -> list[Any]:
            return []

    rig = side.rig([filtering(lambda _: Split())], [spoken("Hel", "lo", "lll")])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    chunks = side.run(program)
    assert [c.choices[0].delta.content for c in chunks] == ["", "H", "e", "o", None]


@pytest.mark.parametrize("marker", [True, False], ids=["done", "eof"])
def test_what_is_kept_back_comes_at_the_end(side: Side, marker: bool) -> None:  # noqa: FBT001
    """Once, before the end marker, or when the stream ends without one."""
    chunks = spoken("Hel", "lo")
    rig = side.rig([filtering(lambda _: Keep())], [chunks if marker else chunks[:-1]])
    assert side.run(lambda: text_of_stream(side, rig)) == "Hello"


def test_what_is_kept_back_passes_the_filters_further_out(side: Side) -> None:
    """Also at the end."""
    rig = side.rig([filtering(lambda _: Each(str.upper)), filtering(lambda _: Keep())], [spoken("Hel", "lo")])
    assert side.run(lambda: text_of_stream(side, rig)) == "HELLO"


def test_inner_filters_come_first(side: Side) -> None:
    """The layer nearest to the wire sees a chunk first."""
    outer, inner = (filtering(lambda _, n=name: Each(lambda text: f"{n}({text})")) for name in ("outer", "inner"))
    rig = side.rig([outer, inner], [spoken("x")])
    assert side.run(lambda: text_of_stream(side, rig)) == "outer(inner(x))"


def test_filters_may_be_flows(side: Side) -> None:
    """`feed` and `end` may ask for effects; they are awaited where the program is async."""
    seen: list[str] = []

    async def acheck() -> None:
        seen.append("async")

    class Checked:
        def feed(self, c: Any) -> Flow[list[Any]]:
            yield from sleep(1.0)
            yield from run(lambda: seen.append("sync"), acheck)
            return [c]

        def end(self) -> Flow[list[Any]]:
            yield from sleep(5.0)
            return []

    rig = side.rig([filtering(lambda _: Checked())], [spoken("x")])
    assert side.run(lambda: text_of_stream(side, rig)) == "x"
    assert rig.clock.sleeps == [1.0, 1.0, 1.0, 5.0]
    assert seen == ["async" if side.asynchronous else "sync"] * 3


def test_a_filter_may_ask_for_whatever_a_layer_may(side: Side) -> None:
    """Events, the clock, requests of its own, even after content was delivered, if these are no part of the call."""

    class Asking:
        def __init__(self, call: Call, next: Next) -> None:
            self.call = call.replace(stream=False, filters=(), progress=Progress())
            self.next = next

        def feed(self, c: Any) -> Flow[list[Any]]:
            yield from emit(RetryStopped(call=self.call.info, number=1, reason="attempts", error=None))
            assert (yield from monotonic()) > 0
            assert (yield from now()) > 0
            one, other = yield from parallel(self.next(self.call), self.next(self.call))
            return [saying(c, one.text + other.text)] if text_of(c) else [c]

        def end(self) -> list[Any]:
            return []

    def layer(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.with_filter(lambda call: Asking(call, next))))

    rig = side.rig([layer], [spoken("a", "b")], default="x")
    assert side.run(lambda: text_of_stream(side, rig)) == "xxxx"
    assert len(rig.recorder.of(RetryStopped)) == 4
    assert len(rig.attempts) == 9
    assert rig.finished.attempts == 9
    assert rig.sent[0].progress.attempts == 1


def test_a_filter_may_start_while_the_request_is_sent(side: Side, server: Any) -> None:
    """It has done so before it is fed, and costs no time of its own."""
    gate = server.gate()
    order: list[str] = []

    def start() -> Flow[None]:
        yield from run(gate.wait_reached, lambda: anyio.to_thread.run_sync(gate.wait_reached))
        order.append("started")
        gate.release()

    rig = side.local(server, [filtering(lambda _: Starting(start))])

    async def program() -> str:
        text = await text_of_stream(side, rig)
        await side.do(rig.client.close())
        return text

    assert side.run(program) == "You said: Say hello"
    assert order == ["started"]


def test_filters_are_made_anew_for_each_send(side: Side) -> None:
    """A retry does not inherit what the filter of the first send has kept."""

    def again(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        except openai.APIError:
            return (yield from next(call))

    made: list[Any] = []

    def make(call: Call) -> Any:
        made.append(Keep())
        return made[-1]

    rig = side.rig([filtering(make), again], [[PREAMBLE, lost()], spoken("Hello")])
    assert side.run(lambda: text_of_stream(side, rig)) == "Hello"
    assert len(made) == 2


def test_plain_calls_make_no_filter(side: Side) -> None:
    """There are no chunks."""
    made: list[Any] = []

    def make(call: Call) -> Any:
        made.append(Keep())
        return made[-1]

    rig = side.rig([filtering(make)], ["Hello"])

    async def program() -> Any:
        return await side.do(rig.create())

    assert side.run(program).choices[0].message.content == "Hello"


def test_filters_apply_to_raw_bytes(side: Side) -> None:
    """Who reads bytes or lines gets the filtered events as text."""
    rig = side.rig([filtering(lambda _: Each(str.upper))], default=spoken("Hel", "lo"))

    async def read(way: str) -> str:
        manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
        if side.asynchronous:
            async with manager as response:
                got = await side.read(getattr(response, way)())
        else:
            with manager as response:
                got = list(getattr(response, way)())
        return "".join(piece if isinstance(piece, str) else piece.decode() for piece in got)

    async def program() -> list[str]:
        return [await read(way) for way in ("iter_bytes", "iter_lines", "iter_text")]

    for text in side.run(program):
        assert '"HEL"' in text
        assert '"LO"' in text
        assert "[DONE]" in text


def test_filters_apply_to_responses(side: Side) -> None:
    """Events keep their names."""

    class Loud:
        def feed(self, c: Any) -> list[Any]:
            return [{**c, "delta": c["delta"].upper()}] if c["type"] == "response.output_text.delta" else [c]

        def end(self) -> list[Any]:
            return []

    rig = side.rig([filtering(lambda _: Loud())], ["Hello"])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.respond(stream=True)))

    events = side.run(program)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "HELLO"
    assert events[-1].type == "response.completed"


def test_filters_apply_to_what_is_held_back(side: Side) -> None:
    """A layer that holds back, and answers the same, delivers the filtered events."""

    def hold(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.replace(hold=True)))

    rig = side.rig([hold, filtering(lambda _: Each(str.upper))], [spoken("Hel", "lo")])
    assert side.run(lambda: text_of_stream(side, rig)) == "HELLO"
