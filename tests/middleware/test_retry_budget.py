"""The retry budget: the vectors of the AWS SDKs' standard mode, and what holds under load."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
import tenacity

from llmstack import OpenAI, Stack
from llmstack.events import RetryStopped
from llmstack.middleware import Retry, RetryBudget
from llmstack.middleware._retry.budget import Buckets
from llmstack.testing import FakeClock, Recorder, ScriptedTransport, Status

KEY = ("scripted.invalid", "m")
DOUBLED = tenacity.wait_exponential(multiplier=1)
AT_MOST_3 = tenacity.wait_exponential(multiplier=1, max=3)


class Bench:
    """A client whose retries are paid for, and the means to look into its bucket."""

    def __init__(self, script, *, default=None, **options: Any):
        self.transport = ScriptedTransport(script, default=default)
        self.clock, self.recorder = FakeClock(), Recorder()
        retry = Retry(wait=options.pop("wait", DOUBLED), **options)
        self.buckets: Any = retry.buckets
        stack = Stack([retry, self.recorder], transport=self.transport, clock=self.clock)
        self.client = OpenAI(api_key="sk-test-not-a-key", base_url="http://scripted.invalid/v1", stack=stack)

    def ask(self, model="m"):
        """One chat call."""
        return self.client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])

    @property
    def left(self):
        """Tokens in the bucket."""
        return self.buckets.left(KEY)

    def spend(self, left):
        """Empty the bucket down to some tokens."""
        while self.left > left:
            assert self.buckets.take(KEY, timeout=False)


def test_a_success_brings_back_what_its_last_retry_cost():
    """500, 500, 200: two retries of 5, the last of them returned."""
    bench = Bench([Status(500), Status(500), "hello"])
    bench.ask()
    assert bench.clock.sleeps == [1, 2]
    assert bench.left == 495


def test_attempts_end_before_the_bucket_does():
    """502 three times: given up, two retries paid."""
    bench = Bench([Status(502)] * 3)
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert bench.clock.sleeps == [1, 2]
    assert bench.left == 490
    assert [event.reason for event in bench.recorder.of(RetryStopped)] == ["attempts"]


def test_an_empty_bucket_raises_the_original_error():
    """5 tokens pay one retry; then the error is the program's, without a wait."""
    bench = Bench([Status(500), Status(502)])
    bench.spend(5)
    with pytest.raises(openai.InternalServerError) as caught:
        bench.ask()
    assert caught.value.status_code == 502
    assert bench.clock.sleeps == [1]
    assert bench.left == 0
    (stopped,) = bench.recorder.of(RetryStopped)
    assert (stopped.number, stopped.reason, stopped.error) == (2, "budget", caught.value)


def test_nothing_is_retried_from_an_empty_bucket():
    """Not even once."""
    bench = Bench([Status(500)])
    bench.spend(0)
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert bench.clock.sleeps == []


@pytest.mark.parametrize(("wait", "sleeps"), [(DOUBLED, [1, 2, 4, 8]), (AT_MOST_3, [1, 2, 3, 3])])
def test_waits_double_up_to_their_cap(wait, sleeps):
    """Five attempts, four retries."""
    bench = Bench([Status(500)] * 5, attempts=5, wait=wait)
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert bench.clock.sleeps == sleeps
    assert bench.left == 480


def test_what_is_not_retried_costs_nothing():
    """A 400."""
    bench = Bench([Status(400)])
    with pytest.raises(openai.BadRequestError):
        bench.ask()
    assert bench.left == 500


def test_a_retry_after_a_time_out_costs_more():
    """10 tokens."""
    bench = Bench([openai.APITimeoutError(request=None)] * 2, attempts=2)  # type: ignore[arg-type]
    with pytest.raises(openai.APITimeoutError):
        bench.ask()
    assert bench.left == 490


def test_a_success_without_a_retry_brings_one_token_and_never_more_than_there_were():
    """A full bucket stays full."""
    bench = Bench([], default="hello")
    bench.spend(495)
    for _ in range(7):
        bench.ask()
    assert bench.left == 500


def test_a_storm_of_1000_failing_calls_makes_1100_requests():
    """And not 3,000: 500 tokens pay 100 retries."""
    bench = Bench([], default=Status(500))
    for _ in range(1000):
        with pytest.raises(openai.InternalServerError):
            bench.ask()
    assert len(bench.transport.calls) == 1100


def test_the_storm_is_the_same_from_16_threads():
    """No token is spent twice, none is lost."""
    bench = Bench([], default=Status(500))

    def fail(_):
        with pytest.raises(openai.InternalServerError):
            bench.ask()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(fail, range(1000)))
    assert len(bench.transport.calls) == 1100
    assert bench.left == 0


def test_a_rejected_reply_is_no_success():
    """A predicate that is never content cannot make a storm either."""
    bench = Bench([], default="hello", retry=tenacity.retry_if_result(lambda _: True))
    for _ in range(1000):
        bench.ask()
    assert len(bench.transport.calls) == 1100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_in_the_midst_of_it_leaves_the_child_free():
    """Threads take tokens all the time; a child that inherited their lock would hang on it."""
    buckets, busy = Buckets(RetryBudget(capacity=10**9)), threading.Event()
    threads = [threading.Thread(target=_take_until, args=(buckets, busy)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            child = os.fork()
            if child == 0:
                buckets.take(KEY, timeout=False)
                os._exit(0)
            deadline = time.monotonic() + 20
            while os.waitpid(child, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    os.kill(child, signal.SIGKILL)
                time.sleep(0.001)
            assert time.monotonic() < deadline
    finally:
        busy.set()
        for thread in threads:
            thread.join()


def _take_until(buckets, done):
    while not done.is_set():
        buckets.take(KEY, timeout=False)


def test_each_host_and_model_has_a_bucket_of_its_own():
    """One that fails takes nothing from the others."""
    bench = Bench([Status(500)] * 3)
    with pytest.raises(openai.InternalServerError):
        bench.ask(model="other")
    assert bench.left == 500
    assert bench.buckets.left(("scripted.invalid", "other")) == 490


@pytest.mark.parametrize("none", [None, False])
def test_a_retry_without_a_budget_is_never_refused(none):
    """For a batch job that has the time. (TOML has no null.)"""
    bench = Bench([], default=Status(500), budget=none)
    for _ in range(200):
        with pytest.raises(openai.InternalServerError):
            bench.ask()
    assert len(bench.transport.calls) == 600


@pytest.mark.parametrize("name", ["capacity", "cost", "timeout_cost"])
def test_a_number_that_cannot_be_is_refused(name):
    """When the budget is made."""
    with pytest.raises(ValueError, match=name):
        RetryBudget(**{name: 0})


def test_only_so_many_buckets_are_kept():
    """A program that asks for ever new models does not grow for ever."""
    buckets = Buckets(RetryBudget())
    for i in range(3000):
        buckets.take(("host", f"model-{i}"), timeout=False)
    assert len(buckets) == 1024
