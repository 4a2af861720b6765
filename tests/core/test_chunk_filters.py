"""Chunk filters rewrite a stream between the wire and the program; the layers' reply stays the wire's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio.to_thread
import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack._core.progress import Progress
from llmstack.effects import emit, monotonic, now, parallel, run, sleep
from llmstack.errors import PluginError, RefusedError
from llmstack.events import RetryStopped
from tests.core.side import MESSAGES, PREAMBLE, Side, chunk, event_error, lost, spoken, texts


def text_of(c: Any) -> str:
    return (c["choices"][0]["delta"].get("content") or "") if c["choices"] else ""


def saying(c: Any, text: str) -> Any:
    (choice,) = c["choices"]
    return {**c, "choices": [{**choice, "delta": {**choice["delta"], "content": text}}]}


class Each:
    """Rewrites the text of each chunk."""

    def __init__(self, rewrite: Callable[[str], str]) -> None:
        self.rewrite = rewrite

    def feed(self, c: Any) -> list[Any]:
        return [saying(c, self.rewrite(text_of(c)))] if text_of(c) else [c]

    def end(self) -> list[Any]:
        return []


def filtering(*made: Callable[[Call], Any]) -> Callable[..., Any]:
    """A layer that adds filters."""

    def layer(call: Call, next: Next) -> Flow[Reply]:
        for make in made:
            call = call.with_filter(make)
        return (yield from next(call))

    return layer


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


class Keep:
    """Keeps back the last word, until it knows what follows."""

    def __init__(self) -> None:
        self.kept: Any = None

    def feed(self, c: Any) -> list[Any]:
        if not text_of(c):
            return [c]
        before, self.kept = self.kept, c
        return [] if before is None else [before]

    def end(self) -> list[Any]:
        return [] if self.kept is None else [self.kept]


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


class Starting:
    """Does something while the request is being sent."""

    def __init__(self, start: Callable[[], Flow[None]]) -> None:
        self.start = start

    def feed(self, c: Any) -> list[Any]:
        return [c]

    def end(self) -> list[Any]:
        return []


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


def test_a_start_that_fails_opens_no_stream(side: Side) -> None:
    """Its error is the call's, and what was opened meanwhile is closed."""

    def start() -> Flow[None]:
        yield from sleep(1)
        yield from sleep(1)
        raise RefusedError("not this one")

    rig = side.rig([filtering(lambda _: Starting(start))], [spoken("Hello")])

    async def program() -> None:
        with pytest.raises(RefusedError):
            await side.do(rig.create(stream=True))

    side.run(program)
    assert rig.finished.outcome == "refused"
    assert rig.transport is not None
    assert rig.transport.open == 0


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


def test_errors_pass_by_the_filters(side: Side) -> None:
    """An error event is not a chunk: no filter has to know its shape, none can swallow it."""

    class Nothing:
        def feed(self, c: Any) -> list[Any]:
            assert c["choices"]
            return []

        def end(self) -> list[Any]:
            return []

    rig = side.rig([filtering(lambda _: Nothing())], [[PREAMBLE, chunk("x"), event_error()]])

    async def program() -> None:
        with pytest.raises(openai.APIError, match="overloaded"):
            await side.read(await side.do(rig.create(stream=True)))

    side.run(program)


def _broken(where: str) -> Callable[[Call], Any]:
    class Broken:
        def __init__(self) -> None:
            if where == "make":
                raise LookupError

        def feed(self, c: Any) -> Any:
            if where == "feed":
                raise LookupError
            if where == "flow":
                return self._flow()
            if where == "none":
                return None
            return ["text"] if where == "garbage" else [c]

        def _flow(self) -> Flow[list[Any]]:
            yield from sleep(1)
            raise LookupError

        def end(self) -> list[Any]:
            if where == "end":
                raise LookupError
            return []

    return lambda _: Broken()


@pytest.mark.parametrize("where", ["make", "feed", "flow", "end", "none", "garbage"])
def test_a_filter_that_fails_is_named(side: Side, where: str) -> None:
    """The call fails with an error that names the plugin, and its connection is given back."""

    def culprit(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.with_filter(_broken(where))))

    rig = side.rig([filtering(lambda _: Keep()), culprit, filtering(lambda _: Keep())], [spoken("Hello")])

    async def program() -> PluginError:
        with pytest.raises(PluginError) as caught:
            await side.read(await side.do(rig.create(stream=True)))
        return caught.value

    error = side.run(program)
    assert error.plugin == "culprit"
    assert error.call is not None
    assert isinstance(error.__cause__, TypeError if where in ("none", "garbage") else LookupError)
    assert rig.finished.outcome == "error"


def test_a_filter_may_refuse(side: Side) -> None:
    """A refusal raised by intent passes as it is, with its plugin and call filled in."""

    class Strict:
        def feed(self, c: Any) -> list[Any]:
            if "forbidden" in text_of(c):
                raise RefusedError("not that word")
            return [c]

        def end(self) -> list[Any]:
            return []

    rig = side.rig([filtering(lambda _: Strict())], [spoken("this is ", "forbidden")])

    async def program() -> str:
        stream = await side.do(rig.create(stream=True))
        seen, error = await side.read_until(RefusedError, stream)
        assert error.plugin == "layer"
        assert error.call is not None
        return texts(seen)

    assert side.run(program) == "this is "
    assert rig.finished.outcome == "refused"
