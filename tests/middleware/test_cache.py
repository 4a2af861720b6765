"""Cache serves what was answered before: the same objects, in every mode of the SDK, on each endpoint it knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.events import CallFinished
from llmstack.middleware.cache import Cache, CacheHit, CacheMissed, CacheStored
from llmstack.testing import LocalServer
from tests.core.side import Side, texts
from tests.middleware.cache_rig import ASKED, Desk

Ask = Callable[[Desk], Awaitable[Any]]

QUESTIONS: dict[str, Ask] = {
    "chat": lambda desk: desk.ask(),
    "chat, two choices": lambda desk: desk.ask(n=2),
    "chat, seed": lambda desk: desk.ask(temperature=1, seed=7),
    "responses": lambda desk: desk.respond(),
    "completions": lambda desk: desk.complete(),
    "completions, several": lambda desk: desk.complete(prompt=["One", "Two"], n=2),
    "embeddings": lambda desk: desk.embed("One", "Two"),
    "embedding": lambda desk: desk.embed("One"),
    "moderations": lambda desk: desk.moderate("One"),
    "moderations, several": lambda desk: desk.moderate(["One", "Two"]),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_was_answered_is_served(side: Side, server: LocalServer, url: str, question: str) -> None:
    """The same answer, by one request; whoever listens hears where it came from."""
    desk = Desk(side, server, store=url)

    async def program() -> tuple[Any, Any]:
        return await QUESTIONS[question](desk), await QUESTIONS[question](desk)

    first, second = desk.run(program)
    assert second == first
    assert second is not first
    assert second.model_dump(exclude={"usage"}) == first.model_dump(exclude={"usage"})
    assert type(second) is type(first)
    assert desk.sent == 1
    told = [(event.cached, event.attempts, event.usage) for event in desk.of(CallFinished)]
    assert [one[:2] for one in told] == [(False, 1), (True, 0)]
    assert told[0][2] == told[1][2]
    assert (len(desk.of(CacheMissed)), len(desk.of(CacheStored)), len(desk.of(CacheHit))) == (1, 1, 1)


@pytest.mark.parametrize("endpoint", ["chat", "responses", "completions"])
def test_a_stream_is_served_what_came_plain(side: Side, server: LocalServer, url: str, endpoint: str) -> None:
    """As chunks that say the same."""
    desk = Desk(side, server, store=url)
    ask = {"chat": desk.ask, "responses": desk.respond, "completions": desk.complete}[endpoint]

    async def program() -> tuple[str, str, set[str]]:
        whole = await ask()
        chunks = await side.read(await ask(stream=True))
        return said(whole), streamed(chunks), {type(chunk).__module__.split(".")[0] for chunk in chunks}

    plain, replayed, homes = desk.run(program)
    assert plain == replayed != ""
    assert homes == {"openai"}
    assert desk.sent == 1


@pytest.mark.parametrize("endpoint", ["chat", "responses", "completions"])
def test_a_plain_call_is_served_what_came_as_a_stream(side: Side, server: LocalServer, url: str, endpoint: str) -> None:
    """With its usage, which a stream is asked for; and a program that did not ask does not see that chunk."""
    desk = Desk(side, server, store=url)
    ask = {"chat": desk.ask, "responses": desk.respond, "completions": desk.complete}[endpoint]

    async def program() -> tuple[list[Any], Any, list[Any]]:
        chunks = await side.read(await ask(stream=True))
        return chunks, await ask(), await side.read(await ask(stream=True))

    chunks, whole, again = desk.run(program)
    assert said(whole) == streamed(chunks) == streamed(again) != ""
    assert whole.usage.total_tokens > 0
    assert desk.sent == 1
    if endpoint != "responses":
        assert [chunk.usage for chunk in (*chunks, *again) if chunk.usage] == []


def said(whole: Any) -> str:
    """The text of an answer."""
    if hasattr(whole, "output_text"):
        return whole.output_text
    return "".join(getattr(choice, "text", None) or choice.message.content for choice in whole.choices)


def streamed(chunks: list[Any]) -> str:
    """The text of its chunks."""
    if hasattr(chunks[0], "type"):
        return "".join(event.delta for event in chunks if event.type == "response.output_text.delta")
    if hasattr(chunks[0].choices[0], "delta"):
        return texts(chunks)
    return "".join(choice.text for chunk in chunks for choice in chunk.choices)


def test_a_replay_tells_the_usage_to_who_asks(side: Side, server: LocalServer) -> None:
    """As the last chunk, and only then."""
    desk = Desk(side, server)

    async def program() -> tuple[Any, list[Any]]:
        return await desk.ask(), await desk.stream(stream_options={"include_usage": True})

    whole, chunks = desk.run(program)
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].choices == []
    assert desk.sent == 1


def test_a_stream_that_told_no_usage_is_not_for_who_counts_on_it(side: Side, server: LocalServer) -> None:
    """A stream is served it, a plain call is not; what that brings is then kept."""
    desk = Desk(side, server, stream_usage=False)

    async def program() -> list[Any]:
        await desk.stream()
        await desk.stream()
        assert desk.sent == 1
        assert (await desk.ask()).usage.total_tokens > 0
        assert desk.sent == 2
        await desk.ask()
        return await desk.stream(stream_options={"include_usage": True})

    chunks = desk.run(program)
    assert chunks[-1].usage is not None
    assert desk.sent == 2


def test_a_replay_can_be_paced(side: Side, server: LocalServer) -> None:
    """So many characters a second, 20 at a time."""
    desk = Desk(side, server, pace=40)

    async def program() -> list[Any]:
        await desk.ask(messages=[{"role": "user", "content": "x" * 50}])
        return await desk.stream(messages=[{"role": "user", "content": "x" * 50}])

    chunks = desk.run(program)
    lengths = [len(chunk.choices[0].delta.content or "") for chunk in chunks]
    assert lengths == [0, 20, 20, 20, 0]
    assert desk.clock.sleeps == [0.5] * 6


def test_a_raw_response_says_where_it_came_from(side: Side, server: LocalServer, url: str) -> None:
    """By a header, with its age, and the id of the request that was answered."""
    desk = Desk(side, server, store=url)

    async def program() -> tuple[Any, Any, Any]:
        create = desk.client.chat.completions.with_raw_response.create
        first = await side.do(create(**ASKED))
        desk.clock.advance(90)
        second = await side.do(create(**ASKED))
        third = await side.do(create(**ASKED, stream=True))
        assert second.parse() == first.parse()
        assert texts(await side.read(third.parse())) == first.parse().choices[0].message.content
        return first, second, third

    first, second, third = desk.run(program)
    assert "x-llmstack-cache" not in first.headers
    for raw in (second, third):
        assert (raw.headers["x-llmstack-cache"], raw.headers["age"]) == ("hit", "90")
        assert raw.headers["x-request-id"] == first.headers["x-request-id"]
    assert second.parse()._request_id == first.parse()._request_id  # noqa: SLF001 - its name is the documented one
    assert desk.sent == 1


def test_a_response_that_is_read_lazily_is_kept_and_served(side: Side, server: LocalServer) -> None:
    """``with_streaming_response`` reads the same bytes both times."""
    desk = Desk(side, server)

    async def program() -> tuple[bytes, bytes]:
        create = desk.client.chat.completions.with_streaming_response.create
        return await side.read_bytes(create(**ASKED)), await side.read_bytes(create(**ASKED))

    first, second = desk.run(program)
    assert first == second != b""
    assert desk.sent == 1


def test_what_is_handed_out_is_the_callers_own(side: Side, server: LocalServer, url: str) -> None:
    """Changing it changes nothing."""
    desk = Desk(side, server, store=url)

    async def program() -> list[Any]:
        seen = []
        for _ in range(3):
            whole = await desk.ask()
            seen.append(whole.choices[0].message.content)
            whole.choices[0].message.content = "spoilt"
            whole.choices.clear()
        return seen

    assert len(set(desk.run(program))) == 1


def test_a_reply_that_a_layer_further_out_sees_says_that_it_is_cached(side: Side, server: LocalServer) -> None:
    """And the end of the call says how, and by which key."""
    seen: list[Any] = []

    def look(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        seen.append((reply.cached, reply.headers.get("x-llmstack-cache")))
        return reply

    desk = Desk(side, server, outer=[look])

    async def program() -> None:
        await desk.ask()
        await desk.ask()

    desk.run(program)
    assert seen == [(False, None), (True, "hit")]
    first, second = (event.notes for event in desk.of(CallFinished))
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    assert first["cache_key"] == second["cache_key"]


def test_what_is_no_question_passes_untouched(side: Side, server: LocalServer) -> None:
    """Reading what is stored, files, and what changes something at the provider."""
    desk = Desk(side, server, when="always")

    async def program() -> None:
        client = desk.client
        for _ in range(2):
            await side.do(client.models.retrieve("m"))
            stored = await side.do(client.responses.create(model="m", input="Hi", background=True))
            await side.do(client.responses.retrieve(stored.id))
            await side.do(client.files.create(file=b"{}", purpose="batch"))
            kept = await side.do(client.chat.completions.create(model="m", messages=ASKED["messages"], store=True))
            await side.do(client.chat.completions.update(kept.id, metadata={"a": "b"}))

    desk.run(program)
    assert desk.sent == 2 * 6 - 1  # of all these only the stored chat is served the second time
    assert len(desk.of(CacheHit)) == 1


def test_events_tell_age_and_size_and_no_content(side: Side, server: LocalServer) -> None:
    """They may be logged anywhere."""
    desk = Desk(side, server, ttl=60)

    async def program() -> None:
        await desk.ask()
        desk.clock.advance(12.5)
        await desk.ask()

    desk.run(program)
    (missed,), (stored,), (hit,) = desk.of(CacheMissed), desk.of(CacheStored), desk.of(CacheHit)
    assert (missed.reason, missed.known, missed.asked) == ("absent", 0, 1)
    assert (stored.ttl, stored.entries) == (60, 1)
    assert stored.bytes > 100
    assert (hit.age, hit.stale, hit.shared) == (12.5, False, False)
    assert "hello" not in repr((missed, stored, hit)).lower()


def test_statistics_tell_what_became_of_the_calls(side: Side, server: LocalServer, url: str) -> None:
    """And what the store holds; both ways of asking say the same."""
    desk = Desk(side, server, store=url)

    async def program() -> Any:
        await desk.ask()
        await desk.ask()
        await desk.ask(seed=1)
        if side.asynchronous:
            return await desk.cache.astats()
        return desk.cache.stats()

    stats = desk.run(program)
    assert (stats.hits, stats.misses, stats.stored, stats.entries) == (1, 2, 2, 2)
    assert stats.bytes > 0
    assert (stats.stale, stats.shared, stats.failures, stats.evicted) == (0, 0, 0, 0)


def test_a_cache_knows_its_place() -> None:
    """Moderated before it, budgeted and retried behind it; found by its name."""
    from llmstack.middleware import Budget, Moderation, Retry

    stack = Stack.ordered([Retry(), Budget(), Cache(), Moderation()])
    assert list(stack.plugins) == ["moderation", "cache", "budget", "retry"]
    stack.close()
