"""Sentry and streams: one span from sending to the stream's end, however and wherever it ends."""

import gc
import threading
from typing import Any

import anyio
import openai
import pytest
import sentry_sdk

from llmstack import OpenAI, Stack, hookimpl
from llmstack.events import CallFinished
from llmstack.middleware.sentry import Sentry
from tests.middleware.sentry_rig import ASK, KEY, aclient, aserved, client, failures, held, sentry, served

__all__ = ["sentry"]


def said(text, **more):
    """A chunk."""
    return {"model": "gpt-5-2", "choices": [{"index": 0, "delta": {"content": text}, **more}]}


END = {"model": "gpt-5-2", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
WHOLE: list[Any] = [said("a"), said("b"), END, USAGE, "[DONE]"]


def lost():
    """A connection that broke."""
    return openai.APIConnectionError(request=None)  # type: ignore[arg-type]


def test_a_stream_is_one_span_with_its_tokens(sentry):
    """And the time to its first token."""
    sentry.init()
    asked = client([WHOLE])
    with sentry_sdk.start_transaction(name="page"):
        for _ in asked.chat.completions.create(**ASK, stream=True):
            assert held(asked) == 2
    span = sentry.transport.span
    assert span["status"] == "ok"
    assert span["data"]["gen_ai.response.streaming"] is True
    assert span["data"]["gen_ai.usage.total_tokens"] == 5
    assert span["data"]["gen_ai.response.time_to_first_token"] >= 0
    assert span["data"]["gen_ai.response.finish_reasons"] == ["stop"]
    assert held(asked) == 0


def test_a_stream_that_breaks_is_one_error(sentry):
    """After content has been seen: not retried, told once."""
    sentry.init()
    asked = client([[said("a"), lost()]])
    with sentry_sdk.start_transaction(name="page"):
        stream = asked.chat.completions.create(**ASK, stream=True)
        with pytest.raises(openai.APIConnectionError):
            list(stream)
    span = sentry.transport.span
    assert (span["status"], span["data"]["llmstack.outcome"]) == ("unavailable", "error")
    event = sentry.transport.error
    assert event["contexts"]["llm call"]["stream"] is True
    assert event["contexts"]["trace"]["span_id"] == span["span_id"]
    assert event["exception"]["values"][-1]["value"] == "Connection error."
    assert held(asked) == 0


def test_a_stream_that_breaks_before_content_and_is_saved_is_none(sentry):
    """Two spans."""
    sentry.init()
    asked = client([[said("", role="assistant"), lost()], WHOLE])
    with sentry_sdk.start_transaction(name="page"):
        list(asked.chat.completions.create(**ASK, stream=True))
    assert [span["status"] for span in sentry.transport.ours] == ["unavailable", "ok"]
    assert sentry.transport.errors == []


def test_an_error_within_a_stream_keeps_its_code(sentry, server):
    """It has no HTTP status: the answer had begun."""
    sentry.init()
    server.next(fault="error_event", after=2, error={"message": "m", "code": "server_error", "type": "server"})
    with sentry_sdk.start_transaction(name="page"), served(server) as asked, pytest.raises(openai.APIError):
        # Where all of it arrives at once, a retry would save it: nothing of it has reached the program.
        list(asked.with_options(max_retries=0).chat.completions.create(**ASK, stream=True))
    assert sentry.transport.error["fingerprint"] == ["llmstack", "chat.completions", "server_error"]
    assert sentry.transport.span["status"] == "internal_error"


def test_a_stream_cut_by_the_server_is_incomplete_and_no_error(sentry, server):
    """The SDK raises nothing; the span says so."""
    sentry.init()
    server.next(fault="no_finish")
    with sentry_sdk.start_transaction(name="page"), served(server) as asked:
        list(asked.chat.completions.create(**ASK, stream=True))
    span = sentry.transport.span
    assert (span["status"], span["data"]["llmstack.outcome"]) == ("cancelled", "incomplete")
    assert sentry.transport.errors == []


def test_a_program_that_stops_reading_makes_no_error(sentry):
    """The span ends where it stopped."""
    sentry.init()
    asked = client([WHOLE])
    with sentry_sdk.start_transaction(name="page"), asked.chat.completions.create(**ASK, stream=True) as stream:
        next(stream)
    span = sentry.transport.span
    assert (span["status"], span["data"]["llmstack.outcome"]) == ("cancelled", "incomplete")
    assert sentry.transport.errors == []
    assert held(asked) == 0


def test_a_stream_that_is_dropped_ends_its_span(sentry, server):
    """From another thread, soon."""
    sentry.init()
    ended = threading.Event()

    class After:
        @hookimpl
        def llmstack_event(self, event):
            if isinstance(event, CallFinished):
                ended.set()

    made = Stack([Sentry(), After()])
    with sentry_sdk.start_transaction(name="page"), OpenAI(api_key=KEY, base_url=server.base_url, stack=made) as asked:
        stream = asked.chat.completions.create(**ASK, stream=True)
        next(stream)
        del stream
        gc.collect()
        assert ended.wait(5)
    assert sentry.transport.span["status"] == "cancelled"
    assert held(asked) == 0
    assert sentry.transport.errors == []
    assert failures(asked) == {}


def test_a_stream_may_end_in_another_thread(sentry):
    """The span belongs under what the call was made under, not under what is current there."""
    sentry.init()
    asked = client([WHOLE])
    with sentry_sdk.start_transaction(name="page") as transaction:
        stream = asked.chat.completions.create(**ASK, stream=True)
        reader = threading.Thread(target=list, args=[stream])
        reader.start()
        reader.join()
        assert sentry_sdk.get_current_span() is transaction
    assert sentry.transport.span["parent_span_id"] == transaction.span_id
    assert sentry.transport.span["status"] == "ok"
    assert held(asked) == 0


def test_a_second_attempt_lies_under_the_calls_span(sentry):
    """Also where it is sent while something else is current, such as a span of the retry's own."""
    sentry.init()
    around = []

    def again(call, next):
        with pytest.raises(openai.APIConnectionError):
            yield from next(call)
        around.append(sentry_sdk.start_span(name="other").__enter__())
        return (yield from next(call))

    asked = client([lost(), WHOLE], again, breadcrumbs=False)
    with sentry_sdk.start_transaction(name="page") as transaction:
        list(asked.with_options(max_retries=0).chat.completions.create(**ASK, stream=True))
        around.pop().__exit__(None, None, None)
    assert [span["parent_span_id"] for span in sentry.transport.ours] == [transaction.span_id] * 2


async def test_a_stream_may_end_in_another_task(sentry):
    """With its own scope and transaction."""
    sentry.init()
    asked = aclient([[said("a"), lost()]])

    async def read(stream):
        with (
            sentry_sdk.isolation_scope(),
            sentry_sdk.start_transaction(name="other"),
            pytest.raises(openai.APIConnectionError),
        ):
            _ = [chunk async for chunk in stream]

    with sentry_sdk.start_transaction(name="page") as transaction:
        stream = await asked.chat.completions.create(**ASK, stream=True)
        async with anyio.create_task_group() as group:
            group.start_soon(read, stream)
        assert sentry_sdk.get_current_span() is transaction
    span = sentry.transport.span
    assert span["parent_span_id"] == transaction.span_id
    trace = sentry.transport.error["contexts"]["trace"]
    assert (trace["trace_id"], trace["span_id"]) == (transaction.trace_id, span["span_id"])
    assert held(asked) == 0


async def test_a_cancelled_stream_is_no_error(sentry, server):
    """The task was cancelled while it waited for a chunk."""
    sentry.init()
    gate = server.gate(after=2)
    async with aserved(server) as asked:
        with sentry_sdk.start_transaction(name="page"):
            with anyio.move_on_after(0.2) as scope:
                async for _ in await asked.chat.completions.create(**ASK, stream=True):
                    pass
            assert scope.cancelled_caught
        gate.release()
    span = sentry.transport.span
    assert (span["status"], span["data"]["llmstack.outcome"]) == ("cancelled", "cancelled")
    assert sentry.transport.errors == []
    assert held(asked) == 0
