"""Sentry's own OpenAI integration, really enabled: every call is told once."""

from typing import Any

import anyio
import openai
import pytest
import sentry_sdk
from openai.resources.chat import Completions
from sentry_sdk.integrations.openai import OpenAIIntegration

from llmstack.errors import RefusedError
from llmstack.testing import Status
from tests.middleware.sentry_rig import (
    ANSWER,
    ASK,
    KEY,
    PROMPT,
    aclient,
    aserved,
    client,
    failures,
    held,
    sentry,
    served,
)

__all__ = ["sentry"]

WAYS: Any = pytest.mark.parametrize("lifecycle", ["transactions", "stream"])


def init(rig, lifecycle="transactions", **options):
    """With the integration, which would tell prompts too."""
    more = {"_experiments": {"trace_lifecycle": "stream"}} if lifecycle == "stream" else {}
    rig.init(OpenAIIntegration(include_prompts=True), send_default_pii=True, **more, **options)


def page():
    """The program's own span, in the way that it traces."""
    options = sentry_sdk.get_client().options
    if (options.get("_experiments") or {}).get("trace_lifecycle") == "stream":
        from sentry_sdk import traces

        return traces.start_span(name="page")
    return sentry_sdk.start_transaction(name="page")


def told(rig):
    """The spans that say something of a model: op, origin and tokens, in either way of tracing."""
    sentry_sdk.flush()
    spans = [(span["op"], span["origin"], span.get("data", {})) for span in rig.transport.spans]
    for transaction in rig.transport.items("transaction"):
        trace = transaction["contexts"]["trace"]
        spans.append((trace["op"], trace["origin"], trace.get("data", {})))
    for batch in rig.transport.items("span"):
        for item in batch["items"]:
            said = {name: value["value"] for name, value in item["attributes"].items()}
            spans.append((said.get("sentry.op"), said.get("sentry.origin"), said))
    return [
        (op, origin, data.get("gen_ai.usage.total_tokens"))
        for op, origin, data in spans
        if str(op).startswith("gen_ai.") or any(name.startswith("gen_ai.") for name in data)
    ]


OURS = ("gen_ai.chat", "auto.ai.llmstack", 5)


@WAYS
def test_a_call_is_told_once(sentry, lifecycle):
    """By us, with our privacy; the integration's span becomes that of the whole call."""
    init(sentry, lifecycle)
    with page():
        asked = client([ANSWER])
        asked.chat.completions.create(**ASK)
    assert told(sentry) == [OURS]
    assert failures(asked) == {}


def test_the_integration_has_no_part_in_a_call(sentry):
    """The attempts lie under the program's own span."""
    init(sentry)
    with page() as transaction:
        client([Status(503), ANSWER]).chat.completions.create(**ASK)
    assert [span["origin"] for span in sentry.transport.spans if span["origin"] == "auto.ai.openai"] == []
    assert [span["parent_span_id"] for span in sentry.transport.ours] == [transaction.span_id] * 2


def test_where_it_has_one_attempts_lie_under_its_span(sentry):
    """A program may make the SDK's resource itself. The span has neither model nor tokens any more."""
    init(sentry)
    with page() as transaction:
        Completions(client([Status(503), ANSWER])).create(**ASK)
    (whole,) = [span for span in sentry.transport.spans if span["origin"] == "auto.ai.openai"]
    assert (whole["op"], whole["description"], whole["parent_span_id"]) == (
        "function",
        "chat gpt-5",
        transaction.span_id,
    )
    assert {span["parent_span_id"] for span in sentry.transport.ours} == {whole["span_id"]}
    assert len(sentry.transport.ours) == 2


@WAYS
async def test_a_call_is_told_once_in_async(sentry, lifecycle):
    """On both event loops."""
    init(sentry, lifecycle)
    with page():
        await aclient([ANSWER]).chat.completions.create(**ASK)
    assert told(sentry) == [OURS]


@WAYS
def test_a_stream_is_told_once(sentry, lifecycle):
    """Read to its end."""
    init(sentry, lifecycle)
    with page() as around:
        list(client([ANSWER]).chat.completions.create(**ASK, stream=True))
        assert current(lifecycle) is around
    assert [span[:2] for span in told(sentry)] == [OURS[:2]]


@WAYS
def test_a_stream_that_is_not_read_to_its_end_leaves_nothing_current(sentry, lifecycle):
    """The integration alone would leave its span there for ever."""
    init(sentry, lifecycle)
    with page() as around:
        stream = client([ANSWER]).chat.completions.create(**ASK, stream=True)
        next(iter(stream))
        stream.close()
        assert current(lifecycle) is around
    assert [span[:2] for span in told(sentry)] == [OURS[:2]]


def current(lifecycle):
    """The current span."""
    if lifecycle == "stream":
        from sentry_sdk import traces

        return traces.get_current_span()
    return sentry_sdk.get_current_span()


@WAYS
async def test_a_cancelled_stream_is_told_once(sentry, server, lifecycle):
    """In the task that was cancelled."""
    init(sentry, lifecycle)
    gate = server.gate(after=2)
    async with aserved(server) as asked:
        with page():
            with anyio.move_on_after(0.2):
                async for _ in await asked.chat.completions.create(**ASK, stream=True):
                    pass
            gate.release()
    assert [span[:2] for span in told(sentry)] == [OURS[:2]]
    assert sentry.transport.errors == []
    assert held(asked) == 0


@WAYS
def test_other_endpoints_are_told_once(sentry, server, lifecycle):
    """Responses, plain and streamed, and embeddings."""
    init(sentry, lifecycle)
    with page(), served(server) as asked:
        asked.responses.create(model="gpt-5", input=PROMPT)
        list(asked.responses.create(model="gpt-5", input=PROMPT, stream=True))
        asked.embeddings.create(model="e-3", input=PROMPT)
        asked.chat.completions.with_raw_response.create(**ASK)
    names = ["gen_ai.responses", "gen_ai.responses", "gen_ai.embeddings", "gen_ai.chat"]
    assert sorted(op for op, origin, _ in told(sentry) if origin == "auto.ai.llmstack") == sorted(names)
    assert len(told(sentry)) == 4


def test_without_a_transaction_a_call_is_told_once(sentry):
    """By one of its own, or as a span of the integration's."""
    init(sentry)
    client([ANSWER]).chat.completions.create(**ASK)
    (transaction,) = sentry.transport.items("transaction")
    assert transaction["contexts"]["trace"]["op"] == "gen_ai.chat"
    assert told(sentry) == [OURS]
    sentry.transport.envelopes.clear()
    Completions(client([ANSWER])).create(**ASK)
    (transaction,) = sentry.transport.items("transaction")
    assert transaction["contexts"]["trace"]["op"] == "function"
    assert told(sentry) == [OURS]


@pytest.mark.parametrize("dedupe", [True, False])
def test_an_error_is_reported_once(sentry, dedupe):
    """Also where the program has switched Sentry's deduplication off."""
    more = {} if dedupe else {"integrations": [OpenAIIntegration()]}
    sentry.init(OpenAIIntegration(), send_default_pii=True, **more)
    with pytest.raises(openai.BadRequestError):
        client([Status(400, f"cannot read {PROMPT}")]).chat.completions.create(**ASK)
    assert sentry.transport.error["exception"]["values"][-1]["mechanism"]["type"] == "llmstack"


async def test_an_error_is_reported_once_in_async(sentry):
    """Nor by the framework around it, which captures what the program did not catch."""
    init(sentry)
    try:
        await aclient([Status(400, f"cannot read {PROMPT}")]).chat.completions.create(**ASK)
    except openai.BadRequestError as error:
        sentry_sdk.capture_exception(error)
    assert sentry.transport.error["exception"]["values"][-1]["mechanism"]["type"] == "llmstack"


def test_a_refusal_is_not_reported_by_the_integration_either(sentry):
    """It takes any exception for an error."""
    init(sentry)

    def guard(call, next):
        raise RefusedError("not today")
        yield

    with page(), pytest.raises(RefusedError):
        client(["never"], guard).chat.completions.create(**ASK)
    assert sentry.transport.errors == []
    assert told(sentry) == []


def test_what_we_do_not_report_is_left_to_the_integration_but_cleaned(sentry):
    """``errors=False`` means: others tell of them."""
    sentry.init(OpenAIIntegration(include_prompts=False))
    with pytest.raises(openai.BadRequestError):
        client([Status(400, f"cannot read {PROMPT}")], errors=False).chat.completions.create(model="m", messages=[])
    (value,) = sentry.transport.error["exception"]["values"]
    assert value["mechanism"]["type"] == "openai"
    assert value["value"] == "status=400 type=scripted"


def test_a_client_made_before_init_is_told_once_too(sentry):
    """The order does not matter."""
    asked = client([ANSWER, ANSWER])
    asked.chat.completions.create(**ASK)
    init(sentry)
    with page():
        asked.chat.completions.create(**ASK)
    assert told(sentry) == [OURS]


@WAYS
def test_other_clients_stay_with_the_integration(sentry, server, lifecycle):
    """A bare client's calls are its own, also while one of ours is made in their midst."""
    sentry.tells = True
    init(sentry, lifecycle)
    with (
        page(),
        openai.OpenAI(api_key=KEY, base_url=server.base_url) as bare,
        served(server) as asked,
    ):
        bare.chat.completions.create(**ASK)
        with bare.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}) as stream:
            next(stream)
            # `parse` is not wrapped by the integration: the current span is the bare client's.
            asked.chat.completions.parse(model="gpt-5", messages=[{"role": "user", "content": "[]"}])
            list(stream)
    theirs = [span for span in told(sentry) if span[1] == "auto.ai.openai"]
    assert len(theirs) == 2
    assert all(tokens for _, _, tokens in theirs)


def test_the_coordination_can_be_switched_off(sentry):
    """Then the integration's span stands as it is, and ours is left out: still once."""
    sentry.tells = True
    init(sentry)
    with page():
        client([ANSWER], coordinate=False).chat.completions.create(**ASK)
    assert told(sentry) == [("gen_ai.chat", "auto.ai.openai", 5)]


def test_without_spans_of_ours_the_integrations_stand(sentry):
    """Who wants none of ours may have those."""
    sentry.tells = True
    init(sentry)
    with page():
        client([ANSWER], spans=False).chat.completions.create(**ASK)
    assert told(sentry) == [("gen_ai.chat", "auto.ai.openai", 5)]


def test_spans_of_frameworks_that_describe_the_request_are_left_to_them(sentry):
    """LangChain's integration and others say model and tokens themselves."""
    sentry.init()
    with page(), sentry_sdk.start_span(op="gen_ai.chat", name="chat gpt-5", origin="auto.ai.langchain"):
        client([ANSWER]).chat.completions.create(**ASK)
    with page(), sentry_sdk.start_span(op="gen_ai.invoke_agent", name="agent", origin="auto.ai.openai_agents"):
        client([ANSWER]).chat.completions.create(**ASK)
    assert len(sentry.transport.ours) == 1
