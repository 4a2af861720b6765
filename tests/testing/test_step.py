"""A layer driven by hand."""

import asyncio
from concurrent.futures import Future

import httpx2
import openai
import pytest

from llmstack import Call, Reply
from llmstack.effects import emit, monotonic, now, parallel, run, sleep, wait
from llmstack.events import CallStarted, RetryScheduled
from llmstack.middleware import Retry
from llmstack.testing import Emit, FakeClock, Now, Run, Send, Sleep, Wait, send, step

CALL = Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m", "messages": []})
REPLY = Reply({"choices": []})


def lost() -> openai.APIConnectionError:
    return openai.APIConnectionError(request=httpx2.Request("POST", "http://example.com/"))


def test_a_retry_from_effect_to_effect():
    """What it sends, tells, waits for and returns."""
    events = []
    flow = step(Retry(wait=lambda _: 0.5).llmstack_call(CALL, send), clock=FakeClock(), events=events)
    assert flow.sending.params == CALL.params
    flow.throw(lost())
    assert flow.sleeping == 0.5
    assert isinstance(events[0], RetryScheduled)
    flow.answer()
    assert isinstance(flow.effect, Send)
    flow.answer(REPLY)
    assert flow.done
    assert flow.result is REPLY
    assert flow.effect is None


def test_a_cancellation_gets_through():
    """Thrown in as the driver does."""
    flow = step(Retry().llmstack_call(CALL, send), clock=FakeClock())
    with pytest.raises(asyncio.CancelledError):
        flow.throw(asyncio.CancelledError())
    assert not flow.done
    with pytest.raises(AssertionError, match="has ended without a result"):
        _ = flow.result


def test_every_effect_is_shown():
    """In order, as it is asked for."""
    future = Future()

    def layer(call, next):
        yield from sleep(2)
        started = yield from monotonic()
        told = yield from now()
        yield from emit(CallStarted(call=call.info))
        ran = yield from run(lambda: 7)
        waited = yield from wait(future)
        first, second = yield from parallel(next(call), next(call))
        return started, told, ran, waited, first, second

    flow = step(layer(CALL, send))
    assert flow.effect == Sleep(2)
    flow.answer()
    assert flow.effect == Now()
    flow.answer(1.0)
    assert flow.effect == Now(wall=True)
    flow.answer(2.0)
    assert flow.telling == CallStarted(call=CALL.info)
    assert isinstance(flow.effect, Emit)
    flow.answer()
    assert isinstance(flow.effect, Run)
    flow.run()
    assert flow.waiting is future
    assert isinstance(flow.effect, Wait)
    flow.answer("set")
    branches = list(flow.branches)
    assert [branch.sending for branch in branches] == [CALL, CALL]
    flow.answer([branch.answer(REPLY).result for branch in branches])
    assert flow.result == (1.0, 2.0, 7, "set", REPLY, REPLY)


def test_what_fails_when_run_is_thrown_in():
    """As the driver does."""

    def layer(call, next):
        try:
            yield from run(lambda: 1 / 0)
        except ZeroDivisionError:
            return "caught"

    assert step(layer(CALL, send)).run().result == "caught"


def test_one_that_asks_for_nothing_has_returned():
    """At once."""

    def layer(call, next):
        return REPLY
        yield from next(call)

    flow = step(layer(CALL, send))
    assert flow.result is REPLY
    with pytest.raises(AssertionError, match="asks for nothing: it has returned a Reply"):
        flow.answer()
    with pytest.raises(AssertionError, match="asks for nothing"):
        flow.throw(lost())


def test_a_wrong_expectation_says_where_it_stands():
    """As a failed test should."""
    flow = step(send(CALL))
    with pytest.raises(AssertionError, match="no Sleep: it stands at a Send"):
        _ = flow.sleeping
    with pytest.raises(AssertionError, match="has not returned"):
        _ = flow.result
    assert repr(flow) == "<Step stands at a Send>"
    flow.close()
    assert repr(flow) == "<Step has ended without a result>"
