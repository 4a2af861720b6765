"""Embeddings are kept one by one: a batch asks only for what is not known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack.events import CallFinished
from llmstack.middleware._cache.embedding import _shares
from llmstack.middleware.cache import Cache, CacheHit, CacheMissed, CacheStored
from llmstack.testing import LocalServer
from tests.core.side import Side
from tests.middleware.cache_rig import Desk

MODEL = "text-embedding-3-small"


def vectors(reply: Any) -> list[Any]:
    """The embeddings of an answer; they must be in order."""
    assert [one.index for one in reply.data] == list(range(len(reply.data)))
    return [one.embedding for one in reply.data]


def test_a_batch_asks_for_the_rest(side: Side, server: LocalServer, url: str) -> None:
    """And the answer is put together as if all of it had been asked; the usage is that of the rest."""
    desk = Desk(side, server, store=url)

    async def program() -> tuple[Any, ...]:
        known = await desk.embed("one", "four five six")
        mixed = await desk.embed("two", "one", "three", "four five six", "two")
        whole = await desk.embed("two", "three")
        return known, mixed, whole

    known, mixed, whole = desk.run(program)
    assert [request.json["input"] for request in server.requests] == [["one", "four five six"], ["two", "three"]]
    found = vectors(mixed)
    assert (found[1], found[3]) == tuple(vectors(known))
    assert (found[0], found[2]) == tuple(vectors(whole))
    assert found[4] == found[0]
    assert mixed.model == known.model
    assert mixed.usage == whole.usage
    told = [(event.cached, event.usage.input_tokens) for event in desk.of(CallFinished)]
    assert told == [
        (False, known.usage.prompt_tokens),
        (False, mixed.usage.prompt_tokens),
        (True, whole.usage.prompt_tokens),
    ]
    missed = [(event.reason, event.known, event.asked) for event in desk.of(CacheMissed)]
    assert missed == [("absent", 0, 2), ("partial", 2, 3)]
    assert [event.entries for event in desk.of(CacheStored)] == [2, 2]
    assert len(desk.of(CacheHit)) == 1


def test_known_ones_are_served_whatever_batch_they_came_in(side: Side, server: LocalServer, url: str) -> None:
    """Alone, in another order, twice; as text or as a list of one."""
    desk = Desk(side, server, store=url)

    async def program() -> list[Any]:
        first = await desk.embed("one", "two")
        create = desk.client.embeddings.create
        return [first, await desk.embed("two"), await desk.embed("two", "one", "two"),
                await side.do(create(model=MODEL, input="two"))]  # fmt: skip

    first, alone, turned, text = desk.run(program)
    one, two = vectors(first)
    assert vectors(alone) == vectors(text) == [two]
    assert vectors(turned) == [two, one, two]
    assert alone.usage.prompt_tokens + alone.usage.prompt_tokens == first.usage.prompt_tokens
    assert desk.sent == 1


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2], [3]]])
def test_tokens_are_inputs_too(side: Side, server: LocalServer, given: Any) -> None:
    """A list of numbers is one, a list of lists is many."""
    desk = Desk(side, server)

    async def program() -> tuple[Any, Any]:
        create = desk.client.embeddings.create
        return await side.do(create(model=MODEL, input=given)), await side.do(create(model=MODEL, input=given))

    first, second = desk.run(program)
    assert vectors(first) == vectors(second)
    assert len(vectors(first)) == (1 if isinstance(given[0], int) else 2)
    assert desk.sent == 1
    assert desk.of(CacheStored)[0].entries == len(vectors(first))


@pytest.mark.parametrize(
    "other", [{"encoding_format": "float"}, {"dimensions": 8}, {"model": "text-embedding-3-large"}]
)
def test_other_parameters_are_other_embeddings(side: Side, server: LocalServer, other: Any) -> None:
    """Each kind is kept for itself, and served as it came."""
    desk = Desk(side, server)

    async def program() -> None:
        create = desk.client.embeddings.create
        for more in ({}, other, {}, other):
            await side.do(create(**{"model": MODEL, "input": ["one", "two"], **more}))

    desk.run(program)
    assert desk.sent == 2


def answer_of(*embeddings: Any, model: str = "m", **more: Any) -> dict[str, Any]:
    """An answer with these embeddings."""
    data = [{"object": "embedding", "index": i, "embedding": one} for i, one in enumerate(embeddings)]
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 2, "total_tokens": 2}, **more}


def ask(rig: Any, *texts: str) -> Any:
    """Ask for embeddings of texts."""
    return rig.client.embeddings.create(model="m", input=list(texts), encoding_format="float")


GOOD = [0.5, 1]
WRONG: list[Any] = [
    answer_of(GOOD),
    answer_of(GOOD, GOOD, GOOD),
    answer_of(GOOD, []),
    answer_of(GOOD, ["x"]),
    answer_of(GOOD, [True]),
    answer_of(GOOD, "AAAA=="),
    answer_of(GOOD, "AAA="),
    answer_of(GOOD, None),
    answer_of(GOOD, GOOD, model=7),  # type: ignore[arg-type]
    {**answer_of(GOOD, GOOD), "data": [{"index": 0, "embedding": GOOD}, {"index": 0, "embedding": GOOD}]},
    {**answer_of(GOOD, GOOD), "data": [GOOD, GOOD]},
]


@pytest.mark.parametrize("body", WRONG)
def test_a_wrong_answer_is_not_kept(body: Any) -> None:
    """The program gets it as it came."""
    side = Side("sync")
    rig = side.rig([Cache()], default=body)
    for _ in range(2):
        ask(rig, "one", "two")
    assert len(rig.sent) == 2
    assert rig.recorder.of(CacheStored) == []
    side.assert_clean()


def test_the_order_of_an_answer_is_told_by_its_indices() -> None:
    """Not by where in the list each is."""
    body = answer_of([1.0], [2.0])
    body["data"].reverse()
    rig = Side("sync").rig([Cache()], default=body)
    ask(rig, "one", "two")
    assert ask(rig, "two").data[0].embedding == [2.0]
    assert ask(rig, "one").data[0].embedding == [1.0]
    assert len(rig.sent) == 1


@pytest.mark.parametrize("rest", [answer_of([9.0], model="other"), answer_of([9.0], [9.0]), answer_of(None)])
def test_what_does_not_go_together_is_all_asked_anew(rest: Any) -> None:
    """Vectors of different models cannot be compared; a rest that is wrong cannot be used."""
    whole = answer_of([3.0], [4.0], model="other")
    rig = Side("sync").rig([Cache()], [answer_of([1.0]), rest, whole])
    ask(rig, "one")
    mixed = ask(rig, "one", "two")
    assert [call.params["input"] for call in rig.sent] == [["one"], ["two"], ["one", "two"]]
    assert [one.embedding for one in mixed.data] == [[3.0], [4.0]]
    assert ask(rig, "one").data[0].embedding == [3.0]
    assert len(rig.sent) == 3


def test_known_ones_of_different_models_are_all_asked_anew() -> None:
    """Though each of them is known."""
    whole = answer_of([3.0], [4.0], model="new")
    rig = Side("sync").rig([Cache()], [answer_of([1.0], model="old"), answer_of([2.0], model="new"), whole])
    ask(rig, "one")
    ask(rig, "two")
    assert [one.embedding for one in ask(rig, "one", "two").data] == [[3.0], [4.0]]
    assert [one.embedding for one in ask(rig, "two", "one").data] == [[4.0], [3.0]]
    assert len(rig.sent) == 3


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1))
def test_tokens_are_dealt_out_without_a_rest(total: int, weights: list[int]) -> None:
    """Whatever the lengths of the inputs."""
    shares = _shares(total, weights)
    assert sum(shares) == (total if sum(weights) else 0)
    assert min(shares) >= 0
