"""Sentry: the whole of what is sent, for each way a call can go."""

from dataclasses import dataclass
from typing import Any

import openai
import pytest
import sentry_sdk

from llmstack import AzureOpenAI, Stack, options
from llmstack.effects import emit
from llmstack.errors import RefusedError
from llmstack.events import CircuitClosed, CircuitOpened, Event
from llmstack.middleware.sentry import Sentry
from llmstack.testing import FakeClock, Status
from tests.middleware.sentry_rig import ANSWER, ASK, KEY, PROMPT, aclient, client, held, sentry

__all__ = ["sentry"]

USAGE: dict[str, Any] = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def body():
    """A reply with all counts."""
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5-2",
        "choices": [choice],
        "usage": USAGE,
    }


def test_a_successful_call_is_one_span(sentry):
    """With model, tokens and status, under the program's transaction, and nothing else."""
    sentry.init()
    asked = client([body()])
    with sentry_sdk.start_transaction(name="page") as transaction, options(tenant="acme"):
        asked.chat.completions.create(**ASK)
    span = sentry.transport.span
    assert span["parent_span_id"] == transaction.span_id
    assert span["trace_id"] == transaction.trace_id
    assert span["timestamp"] >= span["start_timestamp"]
    call_id = span["data"].pop("llmstack.call_id")
    assert call_id.startswith("call_")
    thread = {name: span["data"].pop(name) for name in ("thread.id", "thread.name")}
    assert thread["thread.name"] == "MainThread"
    assert {name: span[name] for name in ("op", "description", "origin", "status", "data")} == {
        "op": "gen_ai.chat",
        "description": "chat gpt-5",
        "origin": "auto.ai.llmstack",
        "status": "ok",
        "data": {
            "gen_ai.system": "openai",
            "gen_ai.provider.name": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.response.model": "gpt-5-2",
            "gen_ai.response.streaming": False,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.input_tokens.cached": 4,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.output_tokens.reasoning": 2,
            "gen_ai.usage.total_tokens": 17,
            "http.response.status_code": 200,
            "server.address": "api.openai.com",
            "llmstack.host": "api.openai.com",
            "llmstack.attempt": 1,
            "llmstack.outcome": "ok",
            "llmstack.tenant": "acme",
        },
    }
    assert len(sentry.transport.envelopes) == 1
    assert held(asked) == 0


def test_a_call_saved_by_a_retry_is_two_spans_a_breadcrumb_and_no_error(sentry):
    """What the program never felt is no error."""
    sentry.init()
    asked = client([Status(503), ANSWER])
    with sentry_sdk.start_transaction(name="page") as transaction:
        asked.chat.completions.create(**ASK)
    first, second = sentry.transport.ours
    assert [first["status"], second["status"]] == ["unavailable", "ok"]
    assert first["parent_span_id"] == second["parent_span_id"] == transaction.span_id
    assert [span["data"]["llmstack.attempt"] for span in (first, second)] == [1, 2]
    assert first["data"]["http.response.status_code"] == 503
    assert first["data"]["error.type"] == "InternalServerError"
    assert sentry.transport.items("event") == []
    (crumb,) = sentry.look()
    assert crumb.pop("data").items() >= {"attempt": 1, "error": "InternalServerError", "status": 503}.items()
    assert crumb == {
        "type": "default",
        "category": "llmstack",
        "level": "info",
        "message": "attempt 1 failed: another follows",
    }


def test_a_failed_call_is_one_error(sentry):
    """With tags, fingerprint and context, whatever number of attempts it took."""
    sentry.init()
    failure = Status(429, {"error": {"message": f"too much of {PROMPT}", "code": "rate_limit", "type": "requests"}})
    asked = client([failure] * 3)
    with (
        sentry_sdk.start_transaction(name="page"),
        options(tenant="acme", tags={"team": "search"}),
        pytest.raises(openai.RateLimitError),
    ):
        asked.chat.completions.create(**ASK)
    event = sentry.transport.error
    (value,) = event["exception"]["values"]
    assert value["stacktrace"]["frames"]
    del value["stacktrace"]
    assert value == {
        "type": "RateLimitError",
        "module": "openai",
        "value": "status=429 code=rate_limit type=requests",
        "mechanism": {"type": "llmstack", "handled": True},
    }
    last = sentry.transport.ours[-1]
    assert event["contexts"]["trace"]["span_id"] == last["span_id"]
    assert event["contexts"]["trace"]["trace_id"] == last["trace_id"]
    told = event["contexts"]["llm call"]
    assert told.pop("id") == last["data"]["llmstack.call_id"]
    assert told.pop("duration") >= 0
    assert told == {
        "endpoint": "chat.completions",
        "path": "/chat/completions",
        "host": "api.openai.com",
        "model": "gpt-5",
        "stream": False,
        "attempts": 3,
        "status": 429,
        "code": "rate_limit",
        "type": "requests",
    }
    assert event["level"] == "error"
    assert event["fingerprint"] == ["llmstack", "chat.completions", "rate_limit"]
    assert event["tags"] == {
        "llmstack.endpoint": "chat.completions",
        "llmstack.model": "gpt-5",
        "llmstack.tenant": "acme",
        "llmstack.error": "rate_limit",
        "llmstack.tag.team": "search",
    }
    assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == [
        "attempt 1 failed: another follows",
        "attempt 2 failed: another follows",
        "attempt 3 failed, none follows: there were enough attempts",
    ]
    assert held(asked) == 0


async def test_it_is_the_same_in_async(sentry):
    """On both event loops."""
    sentry.init()
    with sentry_sdk.start_transaction(name="page") as transaction:
        await aclient([Status(503), body()]).chat.completions.create(**ASK)
        failing = aclient([Status(400)])
        with pytest.raises(openai.BadRequestError):
            await failing.chat.completions.create(**ASK)
    assert [span["status"] for span in sentry.transport.ours] == ["unavailable", "ok", "invalid_argument"]
    assert {span["parent_span_id"] for span in sentry.transport.ours} == {transaction.span_id}
    assert sentry.transport.error["fingerprint"] == ["llmstack", "chat.completions", "BadRequestError"]
    assert held(failing) == 0


def test_the_program_sees_where_it_made_the_call(sentry):
    """Its own frames come first, those where the error arose last, and none has local variables."""
    sentry.init()
    with pytest.raises(openai.BadRequestError):
        client([Status(400)]).chat.completions.create(**ASK)
    frames = sentry.transport.error["exception"]["values"][-1]["stacktrace"]["frames"]
    made = [frame["function"] for frame in frames]
    assert "test_the_program_sees_where_it_made_the_call" in made
    modules = [frame["module"].partition(".")[0] for frame in frames]
    first = modules.index("llmstack")
    assert made.index("test_the_program_sees_where_it_made_the_call") == first - 1
    assert [frame for frame in frames if "vars" in frame] == []


def test_azures_filter_results_are_structured_context(sentry, server):
    """Categories and severities; not a word of the prompt."""
    sentry.init()
    server.next(400, code="content_filter", message=f"filtered: {PROMPT}")
    asked = AzureOpenAI(
        api_key=KEY,
        azure_endpoint=server.azure_endpoint,
        api_version="2024-10-21",
        stack=Stack([Sentry()], clock=FakeClock()),
    )
    with pytest.raises(openai.BadRequestError):
        asked.chat.completions.create(**ASK)
    event = sentry.transport.error
    safe = {"filtered": False, "severity": "safe"}
    assert event["contexts"]["content filter"] == {
        "hate": safe,
        "jailbreak": {"filtered": False, "detected": False},
        "self_harm": safe,
        "sexual": safe,
        "violence": {"filtered": True, "severity": "medium"},
    }
    assert event["contexts"]["inner error"] == {"code": "ResponsibleAIPolicyViolation"}
    assert event["fingerprint"][-1] == "content_filter"
    assert event["exception"]["values"][-1]["value"] == "status=400 code=content_filter param=prompt"
    asked.close()


def test_a_refused_call_is_a_breadcrumb(sentry):
    """A deliberate no is no failure of anything; nothing was sent, so there is no span."""
    sentry.init()

    def guard(call, next):
        if call.model:
            raise RefusedError("not today")
        return (yield from next(call))

    with sentry_sdk.start_transaction(name="page"), pytest.raises(RefusedError):
        client(["never"], guard).chat.completions.create(**ASK)
    assert sentry.transport.ours == []
    assert sentry.transport.errors == []
    (crumb,) = sentry.look()
    assert (crumb["level"], crumb["message"]) == ("warning", "refused: not today")
    with pytest.raises(RefusedError):
        client(["never"], guard, refused=True).chat.completions.create(**ASK)
    assert sentry.transport.error["level"] == "warning"
    assert sentry.transport.error["fingerprint"] == ["llmstack", "chat.completions", "RefusedError"]


def test_a_cache_hit_is_a_breadcrumb(sentry):
    """And no span: nothing was sent."""
    sentry.init()

    def cache(call, next):
        reply = yield from next(call.with_params(model="filler"))
        return reply.replace(cached=True)

    with sentry_sdk.start_transaction(name="page"):
        client([ANSWER], cache).chat.completions.create(**ASK)
    (crumb,) = sentry.look()
    assert (crumb["level"], crumb["message"]) == ("info", "answered from the cache")
    assert crumb["data"]["model"] == "gpt-5"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentMuch(Event):
    """An alert of some other plugin."""

    alert: str
    share: float
    who: str


def test_an_alert_of_any_plugin_is_a_breadcrumb(sentry):
    """Its text and its numbers; other texts are not known to be safe."""
    sentry.init()

    def budget(call, next):
        yield from emit(SpentMuch(call=call.info, alert="80 % is spent", share=0.8, who=PROMPT))
        yield from emit(SpentMuch(call=call.info, alert="", share=0.1, who=PROMPT))
        return (yield from next(call))

    client([ANSWER], budget).chat.completions.create(**ASK)
    (crumb,) = sentry.look()
    assert (crumb["category"], crumb["level"], crumb["message"]) == ("llmstack", "warning", "80 % is spent")
    assert crumb["data"]["share"] == 0.8
    assert "who" not in crumb["data"]


def test_a_circuit_that_opens_and_closes_is_told(sentry):
    """By breadcrumbs."""
    sentry.init()

    def breaker(call, next):
        yield from emit(CircuitOpened(call=call.info, retry_after=30.0, failures=5, calls=6))
        yield from emit(CircuitClosed(call=call.info))
        return (yield from next(call))

    client([ANSWER], breaker).chat.completions.create(**ASK)
    assert [(crumb["level"], crumb["message"]) for crumb in sentry.look()] == [
        ("warning", "circuit opened: 5 of 6 calls failed"),
        ("info", "circuit closed"),
    ]
