"""When the provider cannot be asked, what is too old may do, if the program said so; and it is marked."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.errors import CircuitOpenError, RefusedError
from llmstack.events import CallFinished
from llmstack.middleware.cache import Cache, CacheHit, CacheMissed
from llmstack.testing import LocalServer, Status
from tests.core.side import PREAMBLE, Side, chunk, lost, spoken
from tests.middleware.cache_crowd import Crowd
from tests.middleware.cache_rig import Desk


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"fault": "close"}])
def test_what_is_too_old_is_served_when_the_provider_fails(
    side: Side,
    server: LocalServer,
    url: str,
    fault: Any,
    stream: bool,  # noqa: FBT001
) -> None:
    """Within its time; it says that it is stale, and how old."""
    desk = Desk(side, server, store=url, ttl=60, stale_if_error=60)

    async def ask() -> str:
        if stream:
            chunks = await desk.stream()
            return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        return (await desk.ask()).choices[0].message.content

    async def program() -> None:
        first = await ask()
        server.next(**fault, times=None)
        desk.clock.advance(100)
        assert await ask() == first
        desk.clock.advance(19)
        assert await ask() == first
        desk.clock.advance(1)
        with pytest.raises(openai.APIError):
            await ask()

    desk.run(program)
    assert [(hit.stale, hit.shared, hit.age) for hit in desk.of(CacheHit)] == [(True, False, 100), (True, False, 119)]
    assert [missed.reason for missed in desk.of(CacheMissed)] == ["absent", "expired", "expired", "absent"]
    stale = desk.of(CallFinished)[1]
    assert (stale.cached, stale.outcome, stale.attempts, stale.notes["cache"]) == (True, "ok", 1, "stale")


def test_those_who_are_served_the_same_have_values_of_their_own(side: Side) -> None:
    """A layer that changes what it was given, against the rules, changes it for one call only."""
    values: list[Any] = []

    def look(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        values.append(reply.body)
        return reply

    async def program() -> None:
        async with Crowd(side, held=2, outer=[look], ttl=60, stale_if_error=60) as crowd:
            crowd.hold.release()
            crowd.start()
            await crowd.until(answers=1)
            crowd.start()
            await crowd.until(answers=2)
            crowd.rig.clock.advance(60)
            crowd.start()
            await crowd.until(arrived=2)
            crowd.start(2)
            await crowd.until(waiting=2)
            crowd.hold.fail(lost(), 1)
            await crowd.until(answers=5)
        assert crowd.answers == ["Hello"] * 5
        assert [(hit.stale, hit.shared) for hit in crowd.rig.recorder.of(CacheHit)] == [(False, False)] + [
            (True, False)
        ] * 3

    side.run(program)
    assert len({id(value) for value in values}) == 5
    assert all(value == values[0] for value in values)


def test_a_raw_response_says_that_it_is_stale(side: Side, server: LocalServer) -> None:
    """By the same header; and a layer further out may not keep it."""
    seen: list[bool] = []

    def look(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        seen.append(reply.no_store)
        return reply

    desk = Desk(side, server, outer=[look], ttl=60, stale_if_error=60)

    async def program() -> Any:
        await desk.ask()
        desk.clock.advance(60)
        server.next(503)
        create = desk.client.chat.completions.with_raw_response.create
        return await side.do(create(model="m", messages=[{"role": "user", "content": "Say hello"}], temperature=0))

    raw = desk.run(program)
    assert (raw.headers["x-llmstack-cache"], raw.headers["age"]) == ("stale", "60")
    assert seen == [False, True]


def test_without_it_the_error_is_the_programs(side: Side, server: LocalServer) -> None:
    """As it is by default."""
    desk = Desk(side, server, ttl=60)

    async def program() -> None:
        await desk.ask()
        desk.clock.advance(60)
        server.next(503)
        with pytest.raises(openai.InternalServerError):
            await desk.ask()

    desk.run(program)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_provider_that_says_no_is_not_one_that_fails(side: Side, server: LocalServer, status: int) -> None:
    """What it says is the answer."""
    desk = Desk(side, server, ttl=60, stale_if_error=60)

    async def program() -> None:
        await desk.ask()
        desk.clock.advance(60)
        server.next(status)
        with pytest.raises(openai.APIStatusError):
            await desk.ask()

    desk.run(program)


@pytest.mark.parametrize(("error", "served"), [(CircuitOpenError("closed for now"), True), (RefusedError("no"), False)])
def test_a_circuit_that_is_open_is_a_provider_that_fails(error: Exception, served: bool) -> None:  # noqa: FBT001
    """A budget that is spent is not."""
    broken: list[Exception] = []

    def inner(call: Call, next: Next) -> Flow[Reply]:
        if broken:
            raise broken[0]
        return (yield from next(call))

    rig = Side("sync").rig([Cache(ttl=60, stale_if_error=60), inner], default="Hello")
    rig.create(temperature=0)
    rig.clock.advance(60)
    broken.append(error)
    if served:
        assert rig.create(temperature=0).choices[0].message.content == "Hello"
    else:
        with pytest.raises(RefusedError):
            rig.create(temperature=0)


def test_once_content_has_come_it_is_too_late(side: Side) -> None:
    """The program has seen the beginning of another answer."""
    cache = Cache(ttl=60, stale_if_error=60, stream_usage=False)
    rig = side.rig([cache], [spoken("Hello"), [PREAMBLE, chunk("Other"), lost()], [PREAMBLE, lost()]])

    async def program() -> None:
        await side.read(await side.do(rig.create(stream=True, temperature=0)))
        rig.clock.advance(60)
        given, _ = await side.read_until(
            openai.APIConnectionError, await side.do(rig.create(stream=True, temperature=0))
        )
        assert "".join(c.delta.content or "" for x in given for c in x.choices) == "Other"
        chunks = await side.read(await side.do(rig.create(stream=True, temperature=0)))
        assert "".join(c.delta.content or "" for x in chunks for c in x.choices) == "Hello"

    side.run(program)


def test_a_batch_of_which_all_is_known_if_old_is_served_so() -> None:
    """One that is unknown leaves the error as it is."""
    body: dict[str, Any] = {"object": "list", "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    body["data"] = [{"object": "embedding", "index": 0, "embedding": [1.0]}]
    rig = Side("sync").rig([Cache(ttl=60, stale_if_error=60)], [body, body], default=Status(503))

    def ask(*texts: str) -> Any:
        return rig.client.with_options(max_retries=0).embeddings.create(
            model="m", input=list(texts), encoding_format="float"
        )

    ask("old")
    rig.clock.advance(60)
    ask("new")
    assert len(ask("old", "new").data) == 2
    with pytest.raises(openai.InternalServerError):
        ask("old", "new", "unknown")


def test_when_the_provider_is_back_its_answer_takes_the_place(side: Side, server: LocalServer) -> None:
    """And is fresh."""
    desk = Desk(side, server, ttl=60, stale_if_error=600)

    async def program() -> None:
        first = await desk.ask()
        desk.clock.advance(60)
        server.next(500)
        assert (await desk.ask()).id == first.id
        second = await desk.ask()
        assert second.id != first.id
        assert (await desk.ask()).id == second.id

    desk.run(program)
    assert desk.sent == 3


@pytest.mark.parametrize(("back", "requests"), [(30, 1), (86_400, 2)])
def test_a_clock_that_was_set_back_makes_no_answer_last(
    side: Side, server: LocalServer, back: int, requests: int
) -> None:
    """Clocks of machines that share a store differ a little; beyond that nobody knows how old the answer is."""
    desk = Desk(side, server, ttl=60)

    async def program() -> None:
        await desk.ask()
        desk.clock._time -= back  # noqa: SLF001 - of its two clocks only the one on the wall
        await desk.ask()
        await desk.ask()  # what was asked anew is kept
        assert desk.sent == requests

    desk.run(program)


def test_nor_is_it_served_when_the_provider_fails(side: Side, server: LocalServer) -> None:
    """It may be older than what is too old."""
    desk = Desk(side, server, ttl=60, stale_if_error=60)

    async def program() -> None:
        await desk.ask()
        desk.clock._time -= 86_400  # noqa: SLF001 - of its two clocks only the one on the wall
        server.next(503)
        with pytest.raises(openai.InternalServerError):
            await desk.ask()

    desk.run(program)
