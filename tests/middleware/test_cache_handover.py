"""A leader without an answer for others hands over to exactly one of them."""

from __future__ import annotations

import pytest

from llmstack.middleware.cache import CacheHit
from llmstack.testing import Status
from tests.core.side import Side, lost
from tests.middleware.cache_crowd import Crowd

CUT = {"index": 0, "message": {"role": "assistant", "content": "Hel"}, "finish_reason": "length"}
TRUNCATED = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CUT]}


def test_a_leader_that_fails_hands_over_to_exactly_one(side: Side) -> None:
    """Its error is its own; the next one's answer is everybody's."""

    async def program() -> None:
        async with Crowd(side, held=3) as crowd:
            crowd.start()
            await crowd.until(arrived=1)
            crowd.start(9)
            await crowd.until(waiting=9)
            crowd.hold.fail(lost())
            await crowd.until(arrived=2, waiting=8)
            crowd.hold.fail(lost(), 1)
            await crowd.until(arrived=3, waiting=7)
            crowd.hold.release(2)
            await crowd.until(answers=8)
        assert [type(error).__name__ for error in crowd.errors] == ["APIConnectionError"] * 2
        assert len(crowd.rig.sent) == 1

    side.run(program)


def test_a_leader_that_is_interrupted_hands_over(side: Side) -> None:
    """KeyboardInterrupt and SystemExit end that call only."""
    if side.asynchronous:
        pytest.skip("they end an event loop")

    async def program() -> None:
        async with Crowd(side, held=2) as crowd:
            crowd.start()
            await crowd.until(arrived=1)
            crowd.start(5)
            await crowd.until(waiting=5)
            crowd.hold.fail(KeyboardInterrupt())
            await crowd.until(arrived=2, waiting=4)
            crowd.hold.release(1)
        assert [type(error) for error in crowd.errors] == [KeyboardInterrupt]
        assert crowd.answers == ["Hello"] * 5

    side.run(program)


def test_a_leader_that_is_cancelled_hands_over_to_exactly_one(side: Side) -> None:
    """And one that waits and is cancelled is not waited for."""
    if not side.asynchronous:
        pytest.skip("threads cannot be cancelled")

    async def program() -> None:
        async with Crowd(side, held=2) as crowd:
            crowd.start()
            await crowd.until(arrived=1)
            crowd.start(9)
            await crowd.until(waiting=9)
            crowd.scopes[1].cancel()
            crowd.scopes[5].cancel()
            await crowd.until(waiting=7)
            crowd.scopes[0].cancel()
            await crowd.until(arrived=2, waiting=6)
            crowd.hold.release(1)
        assert crowd.answers == ["Hello"] * 7
        assert len(crowd.rig.sent) == 1

    side.run(program)


def test_the_leader_and_its_heir_may_be_cancelled_at_once(side: Side) -> None:
    """The heir has not even heard that it leads."""
    if not side.asynchronous:
        pytest.skip("threads cannot be cancelled")

    async def program() -> None:
        async with Crowd(side, held=1) as crowd:
            crowd.start(1)
            await crowd.until(arrived=1)
            crowd.start(5)
            await crowd.until(waiting=5)
            for scope in crowd.scopes[:4]:
                scope.cancel()
        assert crowd.answers == ["Hello"] * 2
        assert len(crowd.rig.sent) == 1

    side.run(program)


def test_an_answer_that_is_nobody_elses_lets_each_ask(side: Side) -> None:
    """One that was cut short is not handed on; and nobody queues for the next such."""

    async def program() -> None:
        async with Crowd(side, held=6, default=TRUNCATED) as crowd:
            crowd.start()
            await crowd.until(arrived=1)
            crowd.start(5)
            await crowd.until(waiting=5)
            crowd.hold.release()
            await crowd.until(arrived=6)
            for i in range(1, 6):
                crowd.hold.release(i)
        assert crowd.answers == ["Hel"] * 6

    side.run(program)


def test_a_stream_that_is_left_hands_over_to_exactly_one(side: Side) -> None:
    """What was seen of it is nobody's answer."""

    async def program() -> None:
        async with Crowd(side, held=2, stream_usage=False) as crowd:
            crowd.hold.release(0)
            stream = await side.do(crowd.rig.create(temperature=0, stream=True))
            crowd.start(9)
            await crowd.until(waiting=9)
            async for _ in side.each(stream):
                break
            await side.close(stream)
            await crowd.until(arrived=2, waiting=8)
            crowd.hold.release(1)
        assert crowd.answers == ["Hello"] * 9
        assert len(crowd.rig.sent) == 2

    side.run(program)


def test_a_failing_provider_is_asked_once_if_something_stale_will_do(side: Side) -> None:
    """All are given the same."""

    async def program() -> None:
        async with Crowd(side, script=["Hello"], default=Status(503), ttl=60, stale_if_error=60, held=2) as crowd:
            crowd.hold.release()
            crowd.start()
            await crowd.until(answers=1)
            crowd.rig.clock.advance(60)
            crowd.start()
            await crowd.until(arrived=2)
            crowd.start(5)
            await crowd.until(waiting=5)
            crowd.hold.release(1)
        assert crowd.answers == ["Hello"] * 7
        hits = crowd.rig.recorder.of(CacheHit)
        assert [(hit.stale, hit.shared) for hit in hits] == [(True, False)] * 6

    side.run(program)
