"""Sentry's spans: which there are, what they are called, how they end."""

import openai
import pytest
import sentry_sdk

from llmstack import AzureOpenAI
from llmstack.testing import Status
from tests.middleware.sentry_rig import ANSWER, ASK, KEY, client, failures, sentry, served, stack

__all__ = ["sentry"]


def lost():
    """A connection that broke."""
    return openai.APIConnectionError(request=None)  # type: ignore[arg-type]


def test_without_a_transaction_an_attempt_is_one(sentry):
    """As Sentry's own AI integrations do it."""
    sentry.init()
    client([ANSWER]).chat.completions.create(**ASK)
    (transaction,) = sentry.transport.items("transaction")
    assert transaction["transaction"] == "chat gpt-5"
    assert transaction["contexts"]["trace"]["op"] == "gen_ai.chat"
    assert transaction["contexts"]["trace"]["origin"] == "auto.ai.llmstack"
    assert transaction["contexts"]["trace"]["data"]["gen_ai.usage.total_tokens"] == 5
    assert transaction["spans"] == []


def test_without_tracing_there_are_no_spans(sentry):
    """Errors and breadcrumbs there are."""
    sentry.init(traces_sample_rate=None)
    with pytest.raises(openai.BadRequestError):
        client([Status(400)]).chat.completions.create(**ASK)
    assert sentry.transport.items("transaction") == []
    assert sentry.transport.error["tags"]["llmstack.model"] == "gpt-5"


def test_each_part_can_be_switched_off(sentry):
    """Spans, errors, breadcrumbs."""
    sentry.init()
    asked = client([Status(503), Status(400)], spans=False, errors=False, breadcrumbs=False)
    with sentry_sdk.start_transaction(name="page"), pytest.raises(openai.BadRequestError):
        asked.chat.completions.create(**ASK)
    assert sentry.transport.ours == []
    assert sentry.transport.errors == []
    assert sentry.look() == []


@pytest.mark.parametrize(
    ("ask", "op", "name"),
    [
        (lambda asked: asked.responses.create(model="gpt-5", input="hi"), "gen_ai.responses", "responses gpt-5"),
        (lambda asked: asked.embeddings.create(model="e-3", input="hi"), "gen_ai.embeddings", "embeddings e-3"),
        (
            lambda asked: asked.completions.create(model="davinci", prompt="hi"),
            "gen_ai.text_completion",
            "text_completion davinci",
        ),
        (lambda asked: asked.moderations.create(model="mod", input="hi"), "gen_ai.moderations", "moderations mod"),
    ],
)
def test_every_endpoint_with_a_model_is_a_gen_ai_span(sentry, server, ask, op, name):
    """Under Sentry's name for it."""
    sentry.init()
    with sentry_sdk.start_transaction(name="page"), served(server) as asked:
        ask(asked)
    span = sentry.transport.span
    assert (span["op"], span["description"], span["status"]) == (op, name, "ok")
    assert span["data"]["server.port"] == server.port


def test_what_asks_no_model_is_no_ai_span(sentry, server):
    """Listing models is HTTP, which Sentry's HTTP integration shows."""
    sentry.init()
    with sentry_sdk.start_transaction(name="page"), served(server) as asked:
        asked.models.list()
    assert sentry.transport.ours == []


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Status(401), "unauthenticated"),
        (Status(404), "not_found"),
        (lost(), "unavailable"),
        (openai.APITimeoutError(request=None), "deadline_exceeded"),  # type: ignore[arg-type]
    ],
)
def test_the_status_of_a_span_is_sentrys_word(sentry, failure, status):
    """For HTTP errors and for those without an answer."""
    sentry.init()
    asked = client([failure] * 3)
    with sentry_sdk.start_transaction(name="page"), pytest.raises(openai.APIError):
        asked.chat.completions.create(**ASK)
    assert {span["status"] for span in sentry.transport.ours} == {status}
    assert failures(asked) == {}


def test_a_host_of_azures_is_azure(sentry):
    """Under the name that the conventions have for it."""
    sentry.init()
    asked = AzureOpenAI(
        api_key=KEY,
        azure_endpoint="https://example.openai.azure.com",
        api_version="2024-10-21",
        stack=stack([ANSWER]),
    )
    with sentry_sdk.start_transaction(name="page"):
        asked.chat.completions.create(**ASK)
    data = sentry.transport.span["data"]
    assert data["gen_ai.provider.name"] == data["gen_ai.system"] == "azure.ai.openai"
    assert data["server.address"] == "example.openai.azure.com"
