"""Trace: the way of a call, sync, async and streamed."""

import asyncio
from typing import Any

import openai
import pytest

from llmstack import AsyncOpenAI, OpenAI, Reply, Stack
from llmstack.cli.path import ASCII, Marks, path
from llmstack.cli.trace import Trace
from llmstack.effects import parallel
from llmstack.errors import RefusedError
from llmstack.middleware import Retry
from llmstack.testing import FakeClock, ScriptedTransport, Status

HELLO: Any = [{"role": "user", "content": "hi"}]


def outer(call, next):
    return (yield from next(call))


def client_of(trace, plugins, script):
    stack = Stack(plugins, transport=ScriptedTransport(script), clock=FakeClock())
    return OpenAI(api_key="sk-test-not-a-key", stack=trace.around(stack))


def way(trace):
    (trail,) = trace.trails.values()
    return [(step.layer, step.kind) for step in trail.steps]


def drawn(trace, marks=ASCII):
    (trail,) = trace.trails.values()
    return [line.plain.rstrip() for line in path(trail, marks)]


THROUGH = [("outer", "in"), ("scripted", "in"), ("scripted", "reply"), ("outer", "reply")]


def test_a_call_goes_in_and_out():
    """Each layer is entered once and left once."""
    trace = Trace()
    client_of(trace, [outer], ["hello"]).chat.completions.create(model="m", messages=HELLO)
    assert way(trace) == THROUGH


def test_an_async_call_goes_the_same_way():
    """The async client's calls are traced alike, each by itself."""
    trace = Trace()
    stack = trace.around(Stack([outer], transport=ScriptedTransport(default="hello")))

    async def program():
        async with AsyncOpenAI(api_key="sk-test-not-a-key", stack=stack) as client:
            await asyncio.gather(*(client.chat.completions.create(model="m", messages=HELLO) for _ in range(3)))

    asyncio.run(program())
    ways = [[(step.layer, step.kind) for step in trail.steps] for trail in trace.trails.values()]
    assert ways == [THROUGH] * 3


def test_a_stream_is_left_when_it_has_ended():
    """The way out of a streamed call is noted at the stream's end."""
    trace = Trace()
    client = client_of(trace, [outer], ["hello you"])
    with client.chat.completions.create(model="m", messages=HELLO, stream=True) as stream:
        assert way(trace) == THROUGH[:2]
        list(stream)
    assert way(trace) == THROUGH


def test_a_retry_is_seen_as_a_second_entry():
    """What is sent again enters again, with the delay that was announced."""
    trace = Trace()
    wait = {"retry-after-ms": "250"}
    client = client_of(trace, [outer, Retry()], [Status(429, headers=wait), "hello"])
    client.chat.completions.create(model="m", messages=HELLO)
    (trail,) = trace.trails.values()
    assert [step.kind for step in trail.steps] == ["in", "in", "in", "error", "again", "reply", "reply", "reply"]
    assert drawn(trace) == [
        "> outer > retry > scripted  x 429 RateLimitError  0.00 ms",
        "   again 250 ms > scripted  ok 200  0.00 ms",
        "< outer < retry",
    ]
    assert trail.own_times() == {"outer": 0.0, "retry": 0.25, "scripted": 0.0}


def test_a_layer_that_answers_itself_is_seen():
    """An answer without a request is a short-cut at that layer."""

    def memo(call, next):
        return Reply({"choices": []}, cached=True)
        yield

    trace = Trace()
    client_of(trace, [outer, memo], []).chat.completions.create(model="m", messages=HELLO)
    assert way(trace) == [("outer", "in"), ("memo", "in"), ("memo", "answer"), ("outer", "reply")]
    assert drawn(trace) == ["> outer > memo  ok answers by itself: nothing is sent", "< outer"]


def test_a_refusal_is_seen():
    """A layer that refuses is told from one that fails."""

    def guard(call, next):
        raise RefusedError("no")
        yield

    trace = Trace()
    with pytest.raises(RefusedError):
        client_of(trace, [outer, guard], []).chat.completions.create(model="m", messages=HELLO)
    assert way(trace) == [("outer", "in"), ("guard", "in"), ("guard", "refusal"), ("outer", "error")]


def test_an_error_that_becomes_a_reply_is_marked_where_it_does():
    """A layer that turns an error into a reply bears the mark on the way out."""

    def fallback(call, next):
        try:
            return (yield from next(call))
        except openai.APIError:
            return Reply({"choices": []})

    trace = Trace()
    client = client_of(trace, [outer, fallback, Retry(1)], [Status(400)])
    client.chat.completions.create(model="m", messages=HELLO)
    assert drawn(trace)[-1] == "< outer < fallback ok < retry"


def test_calls_sent_at_once_are_all_seen():
    """A layer that sends several calls at once enters the next layer several times."""

    def race(call, next):
        replies = yield from parallel(next(call), next(call))
        return replies[0]

    trace = Trace()
    client_of(trace, [race, outer], ["a", "b"]).chat.completions.create(model="m", messages=HELLO)
    kinds = [kind for layer, kind in way(trace) if layer == "scripted"]
    assert sorted(kinds) == ["in", "in", "reply", "reply"]
    assert drawn(trace, Marks())


def test_the_traced_stack_behaves_as_the_plain_one():
    """An error comes out as it would without the probes, and bears the name of the layer that made it."""

    def clumsy(call, next):
        raise ValueError("oops")
        yield

    trace = Trace()
    with pytest.raises(openai.OpenAIError, match="clumsy"):
        client_of(trace, [outer, clumsy], []).chat.completions.create(model="m", messages=HELLO)
