"""Several flows at once, of which all results count, or the first error."""

from __future__ import annotations

import contextvars
from concurrent.futures import Future
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import parallel, sleep, wait
from llmstack.testing import Status
from llmstack.testing.scripted import text_body
from tests.core.one_call import error_of, once
from tests.core.side import PREAMBLE, Side, chunk, spoken, texts


def test_parallel_gives_all_results_in_order(side: Side) -> None:
    """However long each takes."""

    def both(call: Call, next: Next) -> Flow[Reply]:
        replies = yield from parallel(next(call.with_params(model="a")), next(call.with_params(model="b")))
        return Reply(text_body(call, " ".join(reply.text for reply in replies)))

    rig = side.rig([both], default=lambda call: f"from {call.model}")
    reply = side.run(lambda: once(side, rig))
    assert reply.choices[0].message.content == "from a from b"
    assert sorted(attempt.number for attempt in rig.attempts) == [1, 2]
    assert rig.finished.attempts == 2


def test_parallel_of_nothing_is_nothing(side: Side) -> None:
    """No thread is started, no task."""

    def none(call: Call, next: Next) -> Flow[Reply]:
        assert (yield from parallel()) == []
        return (yield from next(call))

    rig = side.rig([none], ["Hello"])
    side.run(lambda: once(side, rig))


def test_parallel_nests(side: Side) -> None:
    """A flow inside a flow inside a flow."""

    def leaf(n: int) -> Flow[int]:
        yield from sleep(0)
        return n

    def branch(n: int) -> Flow[list[int]]:
        return (yield from parallel(leaf(n), leaf(n + 1)))

    def tree(call: Call, next: Next) -> Flow[Reply]:
        assert (yield from parallel(branch(1), branch(3))) == [[1, 2], [3, 4]]
        return (yield from next(call))

    rig = side.rig([tree], ["Hello"])
    side.run(lambda: once(side, rig))


def test_parallel_raises_the_first_error_unwrapped(side: Side) -> None:
    """The first in time; the SDK's own errors pass all layers as they are."""
    first_failed: Future[None] = Future()

    def late(call: Call, next: Next) -> Flow[Reply]:
        try:
            yield from wait(first_failed)
        finally:
            ended.append("late")
        raise LookupError

    def early(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        finally:
            first_failed.set_result(None)

    ended: list[str] = []

    def both(call: Call, next: Next) -> Flow[Reply]:
        yield from parallel(late(call, next), early(call, next))
        raise AssertionError

    rig = side.rig([both], [Status(418)])
    assert error_of(side, rig, openai.APIStatusError).status_code == 418
    assert ended == ["late"]


def test_the_slower_branch_is_cancelled_where_it_can_be(side: Side) -> None:
    """The first error cancels the other tasks; their layers' `finally` runs, and their sends are in the books."""
    if not side.asynchronous:
        pytest.skip("threads cannot be cancelled")
    never: Future[None] = Future()

    def forever(call: Call, next: Next) -> Flow[Reply]:
        try:
            yield from wait(never)
        finally:
            ended.append("forever")
        return (yield from next(call))

    ended: list[str] = []

    def both(call: Call, next: Next) -> Flow[Reply]:
        with pytest.raises(openai.APIStatusError):
            yield from parallel(forever(call, next), next(call))
        return (yield from next(call))

    rig = side.rig([both], [Status(418), "Hello"])
    side.run(lambda: once(side, rig))
    assert ended == ["forever"]
    assert rig.finished.outcome == "ok"


def test_parallel_sees_the_programs_context(side: Side) -> None:
    """Context variables are there in every branch; what a branch sets stays in it."""
    name = contextvars.ContextVar("name", default="unset")

    def branch(own: str) -> Flow[str]:
        seen = name.get()
        name.set(own)
        yield from sleep(0)
        return f"{seen}, {name.get()}"

    def both(call: Call, next: Next) -> Flow[Reply]:
        said = yield from parallel(branch("a"), branch("b"))
        return Reply(text_body(call, "; ".join((*said, name.get()))))

    rig = side.rig([both])

    async def program() -> Any:
        name.set("program")
        return await once(side, rig)

    assert side.run(program).choices[0].message.content == "program, a; program, b; program"


def test_a_stream_inside_parallel_is_read_to_its_end(side: Side) -> None:
    """A layer that races streams gets whole replies and delivers one."""

    def race(call: Call, next: Next) -> Flow[Reply]:
        replies = yield from parallel(next(call), next(call))
        assert all(reply.complete for reply in replies)
        return max(replies, key=lambda reply: len(reply.text))

    rig = side.rig([race], [spoken("No"), spoken("Cer", "tainly")])

    async def program() -> str:
        return texts(await side.read(await once(side, rig, stream=True)))

    assert side.run(program) == "Certainly"
    assert [attempt.outcome for attempt in rig.attempts] == ["ok", "ok"]


def test_a_stream_that_breaks_inside_parallel_is_closed(side: Side) -> None:
    """Its error is raised in the layer; both connections go back."""

    def race(call: Call, next: Next) -> Flow[Reply]:
        with pytest.raises(openai.APIError):
            yield from parallel(next(call), next(call))
        return (yield from next(call))

    broken = [PREAMBLE, chunk("x"), openai.OpenAIError("no API error")]
    bad = [PREAMBLE, {"error": {"message": "overloaded"}}]
    rig = side.rig([race], [bad, bad, "Hello"])
    odd = side.rig([lambda_race], [broken, broken])

    async def program() -> None:
        await side.read(await once(side, rig, stream=True))
        with pytest.raises(openai.OpenAIError, match="no API error"):
            await once(side, odd, stream=True)

    side.run(program)


def lambda_race(call: Call, next: Next) -> Flow[Reply]:
    (reply, _) = yield from parallel(next(call), next(call))
    return reply


def test_a_lazily_read_body_inside_parallel_is_whole(side: Side, server: Any) -> None:
    """Also if it is no JSON."""
    rig = side.local(server, [lambda_race])
    server.next(200, body=b"\x00\x01binary", headers={"content-type": "application/octet-stream"}, times=2)

    async def program() -> bytes:
        manager = rig.client.files.with_streaming_response.content("file-1")
        got = await side.read_bytes(manager)
        await side.do(rig.client.close())
        return got

    assert side.run(program) == b"\x00\x01binary"
