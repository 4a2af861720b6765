"""The circuit breaker: closed, open, half-open with one trial."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import openai
import pytest

import llmstack
from llmstack import AsyncOpenAI, Call, OpenAI, Stack
from llmstack._core.effects import Sleep
from llmstack.effects import sleep
from llmstack.errors import CircuitOpenError, RefusedError
from llmstack.events import CircuitClosed, CircuitOpened, RetryStopped
from llmstack.middleware import CircuitBreaker, Retry
from llmstack.middleware._retry.circuit import Circuits
from llmstack.testing import FakeClock, Recorder, ScriptedTransport, Status

BREAKER = CircuitBreaker(failure_ratio=0.5, window=60, min_calls=4, open_for=30)
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


class Bench:
    """A client with a circuit breaker that a script drives."""

    def __init__(self, script=(), *, attempts=1, breaker=BREAKER, default=None):
        self.transport = ScriptedTransport(script, default=default)
        self.clock, self.recorder = FakeClock(), Recorder()
        retry = Retry(attempts=attempts, breaker=breaker)
        self.circuits: Any = retry.circuits
        stack = Stack([retry, self.recorder], transport=self.transport, clock=self.clock)
        options: dict[str, Any] = {
            "api_key": "sk-test-not-a-key",
            "base_url": "http://scripted.invalid/v1",
            "stack": stack,
        }
        self.client, self.aclient = OpenAI(**options), AsyncOpenAI(**options)

    def ask(self, **more):
        """One chat call; its text."""
        return self.client.chat.completions.create(**{**ASK, **more}).choices[0].message.content

    def fail(self, times=1):
        """Calls that fail upstream."""
        for _ in range(times):
            with pytest.raises(openai.InternalServerError):
                self.ask()

    @property
    def sent(self):
        """How many requests were sent."""
        return len(self.transport.calls)


def test_it_opens_when_the_share_of_failures_is_reached_and_refuses_at_once():
    """Two of four; the refusal says when it will be tried again, and costs no request."""
    bench = Bench(["a", "b", Status(500), Status(503), "never"])
    bench.ask()
    bench.ask()
    bench.fail(2)
    bench.clock.advance(10)
    with pytest.raises(CircuitOpenError, match=r"m at scripted\.invalid .* another 20\.0 s") as caught:
        bench.ask()
    assert bench.sent == 4
    assert caught.value.retry_after == 20.0
    assert caught.value.plugin == "retry"
    assert isinstance(caught.value, RefusedError)
    (opened,) = bench.recorder.of(CircuitOpened)
    assert (opened.retry_after, opened.failures, opened.calls) == (30, 2, 4)
    assert bench.recorder.events[-1].outcome == "refused"  # type: ignore[attr-defined]


def test_the_error_pickles_with_its_time():
    """It may leave the process."""
    bench = Bench([Status(500)] * 4)
    bench.fail(4)
    with pytest.raises(CircuitOpenError) as caught:
        bench.ask()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.retry_after) == (str(caught.value), 30.0)


def test_too_few_calls_or_too_few_failures_leave_it_closed():
    """Nothing is concluded from three calls, nor from one failure in four."""
    bench = Bench([*[Status(500)] * 3])
    bench.fail(3)
    assert bench.circuits.blocked(("scripted.invalid", "m"), bench.clock.monotonic()) == 0
    bench = Bench(["a", "b", "c", Status(500), "d"])
    for _ in range(3):
        bench.ask()
    bench.fail()
    assert bench.ask() == "d"


def test_failures_before_the_window_are_forgotten():
    """What was a minute ago says nothing of now."""
    bench = Bench([*[Status(500)] * 3, Status(500), "alive"])
    bench.fail(3)
    bench.clock.advance(61)
    bench.fail()
    assert bench.ask() == "alive"


def test_a_trial_that_succeeds_closes_it():
    """After the pause one request passes; then all do."""
    bench = Bench([*[Status(500)] * 4, "back", "again"])
    bench.fail(4)
    bench.clock.advance(30)
    assert bench.ask() == "back"
    assert bench.ask() == "again"
    assert len(bench.recorder.of(CircuitClosed)) == 1


def test_a_trial_that_fails_opens_it_again():
    """For the whole pause."""
    bench = Bench([*[Status(500)] * 5])
    bench.fail(4)
    bench.clock.advance(31)
    bench.fail()
    with pytest.raises(CircuitOpenError) as caught:
        bench.ask()
    assert caught.value.retry_after == 30.0
    assert len(bench.recorder.of(CircuitOpened)) == 2


def test_only_one_trial_passes_at_a_time():
    """Fifteen of sixteen threads are refused while it is under way."""
    bench = Bench([*[Status(500)] * 4], default="back")
    bench.fail(4)
    bench.clock.advance(30)
    circuits, key = bench.circuits, ("scripted.invalid", "m")
    now = bench.clock.monotonic()
    with ThreadPoolExecutor(16) as pool:
        waits = list(pool.map(lambda i: circuits.enter(key, now, i), range(16)))
    assert sorted(waits) == [0.0, *[30.0] * 15]


async def test_a_trial_that_is_cancelled_makes_room_for_the_next():
    """Nobody knows how it would have ended."""
    bench = Bench([*[Status(500)] * 4], default="back")
    bench.fail(4)
    bench.clock.advance(30)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await bench.aclient.chat.completions.create(**ASK)
    assert scope.cancelled_caught
    assert bench.ask() == "back"


def test_a_trial_that_never_ends_does_not_block_for_ever():
    """A stream that nobody reads: another trial passes after the same pause."""
    circuits, key = Circuits(BREAKER), ("host", "m")
    for i in range(4):
        circuits.leave(key, 0.0, i, failed=True)
    assert circuits.enter(key, 30.0, "first") == 0
    assert circuits.enter(key, 40.0, "second") == 20.0
    assert circuits.enter(key, 60.0, "third") == 0
    assert circuits.leave(key, 61.0, "first", failed=False) is None
    change = circuits.leave(key, 62.0, "third", failed=False)
    assert change is not None
    assert not change.opened


@pytest.mark.parametrize("status", [400, 401, 404, 429])
def test_what_the_caller_did_wrong_or_too_often_is_no_outage(status):
    """The service is alive."""
    bench = Bench([Status(status)] * 10, breaker=CircuitBreaker(min_calls=2))
    for _ in range(10):
        with pytest.raises(openai.APIStatusError):
            bench.ask()
    assert bench.sent == 10


def test_retries_stop_when_it_opens_and_the_error_is_the_upstreams():
    """No sense in waiting for a refusal."""
    bench = Bench([Status(500)] * 9, attempts=9, breaker=CircuitBreaker(min_calls=3))
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert bench.sent == 3
    assert [event.reason for event in bench.recorder.of(RetryStopped)] == ["circuit"]


def test_retries_stop_when_others_open_it_during_a_wait():
    """The call ends with its own failure, not with a refusal: it was sent."""
    bench = Bench([Status(503), "never"], attempts=3, breaker=CircuitBreaker(min_calls=2))
    bench.clock.sleep = lambda _: bench.circuits.leave(("scripted.invalid", "m"), 1000.0, object(), failed=True)  # type: ignore[method-assign]
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert bench.sent == 1
    (stopped,) = bench.recorder.of(RetryStopped)
    assert (stopped.number, stopped.reason) == (1, "circuit")
    assert bench.recorder.finished.outcome == "error"


@pytest.mark.parametrize("error", [RefusedError("a layer says no"), ValueError("a layer is broken")])
def test_what_says_nothing_of_the_service_neither_opens_nor_closes_it(error):
    """Such as the refusal of a layer further in."""
    bench = Bench([*[Status(500)] * 4, error, "back"])
    bench.fail(4)
    bench.clock.advance(30)
    with pytest.raises(type(error)):
        bench.ask()
    assert bench.recorder.of(CircuitClosed) == []
    assert bench.ask() == "back"


def test_a_call_that_came_too_late_to_be_sent_says_nothing_either():
    """Its deadline had passed further out."""

    def slow(call, next):
        yield from sleep(5)
        return (yield from next(call))

    clock, recorder = FakeClock(), Recorder()
    stack = Stack([slow, Retry(attempts=1, breaker=CircuitBreaker(min_calls=1)), recorder], clock=clock)
    with OpenAI(api_key="sk-test-not-a-key", base_url="http://127.0.0.1:9/v1", stack=stack) as client:
        for _ in range(3):
            with llmstack.options(deadline=4), pytest.raises(openai.APITimeoutError):
                client.chat.completions.create(**ASK)
    assert recorder.of(CircuitOpened) == []


@pytest.mark.parametrize(("code", "opened"), [(429, 0), ("rate_limit_exceeded", 0), (503, 1), ("server_error", 1)])
def test_an_error_that_a_stream_tells_is_judged_as_a_status(code, opened):
    """Too often is no outage."""
    bench = Bench(default=[{"error": {"message": "no", "code": code}}], breaker=CircuitBreaker(min_calls=2))
    for _ in range(2):
        with pytest.raises(openai.APIError):
            list(bench.client.chat.completions.create(**ASK, stream=True))
    assert len(bench.recorder.of(CircuitOpened)) == opened


def test_a_layer_may_end_the_flow_by_hand():
    """The trial is free again."""

    circuits, key = Circuits(BREAKER), ("", None)
    retry = Retry(attempts=1, breaker=BREAKER)
    retry.circuits = circuits
    for i in range(4):
        circuits.leave(key, 0.0, i, failed=True)
    flow = retry.llmstack_call(Call(path="/x", endpoint="x"), _never)
    flow.send(None)
    flow.send(0.0)
    flow.send(40.0)
    flow.close()
    assert circuits.enter(key, 41.0, "next") == 0


def _never(call):
    yield Sleep(1.0)
    raise AssertionError("not reached")


def test_each_model_has_a_circuit_of_its_own():
    """One that is down does not take the others along."""
    bench = Bench([*[Status(500)] * 4, "fine"])
    bench.fail(4)
    assert bench.ask(model="other") == "fine"


def test_a_refused_stream_is_refused_at_once():
    """When it is opened."""
    bench = Bench([*[Status(500)] * 4])
    bench.fail(4)
    with pytest.raises(CircuitOpenError):
        list(bench.client.chat.completions.create(**ASK, stream=True))
    assert bench.sent == 4


@pytest.mark.parametrize(
    ("name", "value"), [("failure_ratio", 0), ("failure_ratio", 1.1), ("window", 0), ("min_calls", 0), ("open_for", -1)]
)
def test_a_number_that_cannot_be_is_refused(name, value):
    """When the breaker is made."""
    with pytest.raises(ValueError, match=name):
        CircuitBreaker(**{name: value})


def test_only_so_many_circuits_are_kept():
    """A program that asks for ever new models does not grow for ever."""
    circuits = Circuits(BREAKER)
    for i in range(3000):
        circuits.leave(("host", f"model-{i}"), 0.0, i, failed=True)
    assert len(circuits) == 1024
