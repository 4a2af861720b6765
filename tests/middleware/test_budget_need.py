"""What is reserved for calls that say more, or get more, than one text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmstack.errors import BudgetExceededError
from llmstack.middleware.budget import CostBooked
from llmstack.testing import LocalServer
from tests.middleware.budget_rig import ASKED, Bench

MANY = [list(range(1000))] * 20
"""Twenty texts of a thousand tokens each, as clients send them that have counted already."""


@pytest.fixture
def bench(local_server: LocalServer) -> Iterator[Bench]:
    """By the published prices."""
    bench = Bench(local_server, ["$100/day"], prices={})
    yield bench
    bench.close()


def booked(bench: Bench) -> CostBooked:
    (event,) = bench.events(CostBooked)
    assert isinstance(event, CostBooked)
    return event


@pytest.mark.parametrize("given", [MANY, [1] * 20_000])
def test_tokens_given_as_numbers_are_tokens(bench: Bench, given: Any) -> None:
    """$0.02 for a million of them; with a margin, but not one of many times."""
    bench.client.embeddings.create(model="text-embedding-3-small", input=given)
    assert 0.0004 <= booked(bench).reserved <= 0.00041


def test_each_text_of_a_batch_gets_an_answer_of_its_own(bench: Bench) -> None:
    """Twenty of a thousand tokens, at $2 for a million."""
    for prompt in (["hello"] * 20, MANY):
        bench.recorder.events.clear()
        bench.client.completions.create(model="gpt-3.5-turbo-instruct", prompt=prompt, max_tokens=1000)
        assert 0.04 <= booked(bench).reserved <= 0.075


def test_batches_cannot_outrun_a_limit(local_server: LocalServer) -> None:
    """What a call may get must fit."""
    bench = Bench(local_server, ["$0.03/day"], prices={})
    with pytest.raises(BudgetExceededError):
        bench.client.completions.create(model="gpt-3.5-turbo-instruct", prompt=["hello"] * 20, max_tokens=1000)
    assert local_server.count() == 0
    bench.close()


@pytest.mark.parametrize(("quality", "cents"), [("low", 1.6), ("high", 24.9), ("auto", 24.9)])
def test_pictures_are_paid_by_the_piece(bench: Bench, quality: Any, cents: float) -> None:
    """Three of them, each of thousands of tokens at $40 for a million."""
    bench.client.images.generate(model="gpt-image-1", prompt="a house", n=3, quality=quality)
    assert 3 * cents <= booked(bench).reserved * 100 <= 3.2 * cents


def test_pictures_are_paid_as_such_where_a_text_is_cheaper(bench: Bench) -> None:
    """$32 for a million tokens of a picture, $10 for those of a text."""
    bench.client.images.generate(model="gpt-image-1.5", prompt="a house", quality="high")
    assert float(booked(bench).reserved) == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize(("model", "dollars"), [("tts-1", 0.015), ("gpt-4o-mini-tts", 0.0169)])
def test_what_is_read_aloud_is_paid(bench: Bench, model: str, dollars: float) -> None:
    """By its characters, or by the sound, of which the answer does not tell how much it is."""
    bench.client.audio.speech.create(model=model, voice="alloy", input="a word, " * 125)
    cost = booked(bench).cost
    assert cost is not None
    assert float(cost) == pytest.approx(dollars, rel=0.02)
    assert booked(bench).reserved >= cost
    assert bench.row().estimated == "usage"


@pytest.mark.parametrize(
    ("more", "times"), [({"service_tier": "priority"}, 1.8), ({"service_tier": "flex"}, 1.0)], ids=str
)
def test_what_is_served_first_costs_more(bench: Bench, more: dict[str, Any], times: float) -> None:
    """Nothing is taken for cheaper that need not be."""
    bench.ask()
    usual = booked(bench).reserved
    bench.recorder.events.clear()
    bench.ask(**more)
    assert float(booked(bench).reserved / usual) == pytest.approx(times)


def test_sound_is_dearer_than_text(bench: Bench) -> None:
    """Of an answer that may be either."""
    asked = {**ASKED, "model": "gpt-4o-audio-preview", "max_completion_tokens": 1000}
    create: Callable[..., Any] = bench.client.chat.completions.create
    create(**asked, modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"})
    assert booked(bench).reserved >= 0.08


def test_a_stream_is_paid_by_the_tier_that_served_it(bench: Bench) -> None:
    """As a project may have chosen it: the call names none. $4.05 for a million tokens read, and as many written."""
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5-mini"}
    choice = {"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    told = {**chunk, "service_tier": "priority"}
    bench.server.script(lambda _: [{**told, "choices": [choice]}, {**told, "choices": [], "usage": usage}])
    assert list(bench.ask(stream=True))
    assert bench.cost() == 4_050_000


def test_a_response_in_the_background_is_paid_as_reserved(bench: Bench) -> None:
    """What it will have taken is told to whoever asks for it later, and that is no call that costs anything."""
    queued = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5-mini", "status": "queued"}
    bench.server.script(lambda _: {**queued, "output": [], "usage": None, "background": True})
    ask: dict[str, Any] = {"model": "gpt-5-mini", "input": "hi", "background": True, "max_output_tokens": 1000}
    assert bench.client.responses.create(**ask).status == "queued"
    assert bench.cost() >= 2_000_000
    assert bench.row().estimated == "reserved"
    assert bench.held() == [0]


def test_so_is_one_whose_stream_is_left(bench: Bench) -> None:
    """It goes on without the program."""
    ask: dict[str, Any] = {"model": "gpt-5-mini", "input": "hi", "background": True, "max_output_tokens": 1000}
    gate = bench.server.gate(after=6)
    with bench.client.responses.create(**ask, stream=True) as stream:
        next(iter(stream))
    gate.release()
    assert bench.cost() >= 2_000_000
    assert bench.row().estimated == "reserved"


@pytest.mark.parametrize("model", ["gpt-5", "gpt-6-sol", "gpt-6.1-terra", "ft:gpt-6-luna:acme::1"])
def test_all_that_a_model_may_write_is_reserved(local_server: LocalServer, model: str) -> None:
    """128,000 tokens: https://developers.openai.com/api/docs/models"""
    bench = Bench(local_server, prices={"*": {"input": "0", "output": "1"}})
    bench.client.responses.create(model=model, input="hi")
    assert float(booked(bench).reserved) == pytest.approx(0.128)
    bench.close()


def test_decisions_are_paid(bench: Bench) -> None:
    """By their tokens, as the SDK's `Decision.usage` tells them."""
    usage = {"input_tokens": 20_000, "output_tokens": 1_000, "total_tokens": 21_000}
    bench.server.next(200, body={"answers": [], "model": "gpt-6-luna", "usage": usage})
    question = {"type": "predicate", "question": "Is it a complaint? " * 1_000}
    body = {"model": "gpt-5", "input": "Say hello", "questions": [question]}
    bench.client.post("/decisions", cast_to=object, body=body)
    assert (bench.row().endpoint, bench.row().tokens) == ("decisions", {"input": 20_000, "output": 1_000})
    assert booked(bench).reserved >= 128_000 * 10 / 1e6


def test_decisions_cannot_outrun_a_limit(local_server: LocalServer) -> None:
    """Nothing is sent that may cost more."""
    bench = Bench(local_server, ["$0.03/day"])
    with pytest.raises(BudgetExceededError):
        bench.client.post("/decisions", cast_to=object, body={"model": "gpt-5", "input": "hi", "questions": []})
    assert local_server.count() == 0
    bench.close()
