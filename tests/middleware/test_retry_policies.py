"""Retry's policies are tenacity's, or a config file's; what could never do is refused when the plugin is made."""

from typing import Any

import openai
import pytest
import tenacity
import tenacity.asyncio as tenacity_asyncio

from llmstack import Stack
from llmstack.events import RetryScheduled, RetryStopped
from llmstack.middleware import CircuitBreaker, Retry, RetryBudget
from llmstack.testing import Status
from tests.middleware.retry_rig import ASK, Bench

ASYNC_PREDICATE: Any = tenacity_asyncio.retry_if_result(bool)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_less_than_one_attempt_is_refused():
    """When the plugin is made."""
    with pytest.raises(ValueError, match="attempts must be at least 1"):
        Retry(attempts=0)


def test_any_tenacity_stop_will_do():
    """In place of the number of attempts; it reads the stack's clock."""
    bench = Bench([Status(500)] * 9, Retry(stop=tenacity.stop_after_delay(10), wait=tenacity.wait_fixed(4)))
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert bench.clock.sleeps == [4.0, 4.0, 4.0]
    assert [event.reason for event in bench.recorder.of(RetryStopped)] == ["attempts"]


def test_a_number_given_to_the_client_goes_before_any_stop():
    """The program that makes the calls knows best."""
    bench = Bench([Status(500)] * 9, Retry(stop=tenacity.stop_never), max_retries=1)
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert len(bench.transport.calls) == 2


def test_any_tenacity_predicate_may_judge_errors():
    """In place of our own judgement, in both directions."""
    retry = Retry(retry=tenacity.retry_if_exception_type(openai.BadRequestError))
    bench = Bench([Status(400), "hello"], retry)
    assert bench.ask() == "hello"
    bench = Bench([Status(500)], retry)
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert len(bench.transport.calls) == 1


def test_any_tenacity_predicate_may_judge_replies():
    """An empty answer is asked for again."""
    empty = tenacity.retry_if_result(lambda reply: not reply.text)
    bench = Bench(["", "", "hello"], Retry(retry=empty))
    assert bench.ask() == "hello"
    assert [event.error for event in bench.recorder.of(RetryScheduled)] == [None, None]


def test_the_last_reply_is_given_if_none_was_good_enough():
    """It has been paid for."""
    empty = tenacity.retry_if_result(lambda reply: not reply.text)
    bench = Bench(["", ""], Retry(attempts=2, retry=empty))
    assert bench.ask() == ""
    assert [event.reason for event in bench.recorder.of(RetryStopped)] == ["attempts"]


def test_no_predicate_is_asked_about_what_cannot_be_sent_again():
    """A stream whose content has been delivered."""
    asked = []
    retry = Retry(retry=lambda state: not asked.append(state))
    bench = Bench(["hello"], retry)
    assert [chunk.choices[0].delta.content for chunk in bench.client.chat.completions.create(**ASK, stream=True)][1]
    assert asked == []


def test_a_config_file_sets_budget_and_breaker(tmp_path):
    """As tables inside the plugin's own."""
    file = tmp_path / "llmstack.toml"
    file.write_text(
        """
        plugins = ["retry"]
        [retry]
        attempts = 5
        deadline = 20
        budget = { capacity = 100, cost = 10 }
        [retry.breaker]
        failure_ratio = 0.8
        """
    )
    retry = Stack.from_config(file).plugins["retry"]
    assert (retry.attempts, retry.deadline) == (5, 20)
    assert retry.budget == RetryBudget(capacity=100, cost=10)
    assert retry.breaker == CircuitBreaker(failure_ratio=0.8)


@pytest.mark.parametrize("option", ["deadline", "idle_timeout"])
@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_time_that_cannot_be_is_refused(option, seconds):
    """When the plugin is made."""
    with pytest.raises(ValueError, match=option):
        Retry(**dict[str, Any]({option: seconds}))


@pytest.mark.parametrize("option", ["wait", "stop", "retry"])
@pytest.mark.parametrize("given", [5, ASYNC_PREDICATE])
def test_what_is_no_plain_function_is_refused(option, given):
    """When the plugin is made: an async predicate would always be true."""
    with pytest.raises(TypeError, match=option):
        Retry(**dict[str, Any]({option: given}))


@pytest.mark.parametrize("delay", [float("inf"), float("nan")])
def test_a_wait_without_end_is_none(delay):
    """The error now."""
    bench = Bench([Status(500)], Retry(wait=lambda _: delay))
    with pytest.raises(openai.InternalServerError):
        bench.ask()
    assert bench.clock.sleeps == []
