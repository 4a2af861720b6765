"""Several flows at once, of which the first that ends counts."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import drive, monotonic, race, sleep, wait
from llmstack.errors import PluginError
from llmstack.testing import Status
from llmstack.testing.scripted import text_body
from tests.core.one_call import error_of, once
from tests.core.side import Side, spoken, texts

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def never() -> Iterator[Future[None]]:
    """A future that nobody sets during the test."""
    future: Future[None] = Future()
    yield future
    future.set_result(None)


def test_the_first_result_counts(side: Side, never: Future[None]) -> None:
    """Whichever flow it is; the other's layers end."""
    ended: list[str] = []

    def stuck() -> Flow[Reply]:
        try:
            yield from wait(never)
        finally:
            ended.append("stuck")
        raise AssertionError

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(stuck(), next(call)))

    rig = side.rig([both], ["Hello"])
    reply = side.run(lambda: once(side, rig))
    assert reply.choices[0].message.content == "Hello"
    assert ended == (["stuck"] if side.asynchronous else [])


def test_the_first_error_counts_too(side: Side, never: Future[None]) -> None:
    """Unwrapped; a layer that wants something else says so in its flows."""

    def stuck() -> Flow[Reply]:
        yield from wait(never)
        raise AssertionError

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(stuck(), next(call)))

    rig = side.rig([both], [Status(418)])
    assert error_of(side, rig, openai.APIStatusError).status_code == 418
    assert rig.finished.outcome == "error"


def test_a_race_of_one_is_that_one(side: Side) -> None:
    """It runs beside, as several would."""

    def alone(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(next(call)))

    rig = side.rig([alone], ["Hello"])
    assert side.run(lambda: once(side, rig)).choices[0].message.content == "Hello"


def test_a_race_of_none_is_an_error(side: Side) -> None:
    """Nothing would ever end."""

    def none(call: Call, next: Next) -> Flow[Reply]:
        with pytest.raises(ValueError, match="at least one"):
            yield from race()
        return (yield from next(call))

    rig = side.rig([none], ["Hello"])
    side.run(lambda: once(side, rig))


def test_a_race_of_garbage_names_the_layer(side: Side) -> None:
    """It takes flows."""

    def race_garbage(call: Call, next: Next) -> Flow[Reply]:
        yield from race(next(call), "no flow")  # type: ignore[arg-type]
        return (yield from next(call))

    rig = side.rig([race_garbage])
    error = error_of(side, rig, PluginError)
    assert "race_garbage" in str(error)
    assert "race() takes flows" in str(error.__cause__)


def test_a_streamed_call_is_whole_where_it_races(side: Side, never: Future[None]) -> None:
    """It is read to its end there, and given to the program as a stream."""

    def stuck() -> Flow[Reply]:
        yield from wait(never)
        raise AssertionError

    def both(call: Call, next: Next) -> Flow[Reply]:
        return (yield from race(stuck(), next(call)))

    rig = side.rig([both], [spoken("Cer", "tainly")])

    async def program() -> str:
        return texts(await side.read(await once(side, rig, stream=True)))

    assert side.run(program) == "Certainly"


def test_the_programs_context_is_seen(side: Side) -> None:
    """What a flow sets stays in it."""
    name = contextvars.ContextVar("name", default="unset")

    def branch(call: Call) -> Flow[Reply]:
        seen = name.get()
        name.set("branch")
        yield from sleep(0)
        return Reply(text_body(call, seen))

    def alone(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from race(branch(call))
        assert name.get() == "program"
        return reply

    rig = side.rig([alone])

    async def program() -> Any:
        name.set("program")
        return await once(side, rig)

    assert side.run(program).choices[0].message.content == "program"


def test_outside_of_a_call() -> None:
    """What asks a store may race, too."""
    unset: Future[None] = Future()

    def quick() -> Flow[float]:
        return (yield from monotonic())

    def stuck() -> Flow[float]:
        yield from wait(unset)
        raise AssertionError

    assert drive(race(stuck(), quick())) > 0
    unset.set_result(None)
