"""Azure: what comes back, with its errors and filters, and what else stands on it."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from pydantic import BaseModel

import llmstack
from llmstack import Stack
from llmstack.events import AttemptFinished, ContentModerated
from llmstack.middleware import Moderation, Retry
from llmstack.testing import MISSING_MODEL, FakeClock, LocalServer, Recorder
from llmstack.transports import ChatTransport
from tests.transports.own_rig import (
    AZURE_VERSION,
    DEPLOYMENTS,
    OUTER,
    SURFACES,
    chat,
    client_of,
    to_azure,
)


def test_azures_own_client_goes_on_as_the_sdks() -> None:
    """And goes where a transport sends, if its stack has one."""
    with LocalServer() as server, LocalServer() as other:
        azure: Any = {"azure_endpoint": server.azure_endpoint, "api_version": "1", "api_key": "az-outer-not-a-key"}
        with llmstack.AzureOpenAI(**azure, stack=Stack([])) as client:
            assert client.chat.completions.create(**chat()).model == "gpt-5-mini"
        with (
            llmstack.AzureOpenAI(
                **azure, azure_deployment="outer", stack=Stack([], transport=to_azure(other, deployments=DEPLOYMENTS))
            ) as client,
            client.stack,
        ):
            assert client.chat.completions.create(**chat()).model == "prod-mini"
        assert server.requests[0].path == "/openai/deployments/gpt-5-mini/chat/completions"
        assert other.requests[0].path == "/openai/deployments/prod-mini/chat/completions"
        assert other.requests[0].query == {"api-version": AZURE_VERSION}
        assert "outer" not in str(other.requests[0].headers)


class City(BaseModel):
    """What `.parse()` gives."""

    name: str


@SURFACES
def test_parsed_answers(way: Any) -> None:
    """As with any client."""
    with LocalServer() as server, client_of(way(server, deployments=DEPLOYMENTS)) as client, client.stack:
        parsed = client.chat.completions.parse(**chat("Rome"), response_format=City).choices[0].message.parsed
        assert parsed == City(name="Rome")
        with client.chat.completions.stream(**chat("Rome"), response_format=City) as stream:
            assert stream.get_final_completion().choices[0].message.parsed == City(name="Rome")


@SURFACES
def test_a_refused_prompt_is_the_sdks_error(way: Any) -> None:
    """With Azure's inner error in its body; the event has it, too."""
    recorder = Recorder()
    with LocalServer() as server, Stack([recorder], transport=way(server)) as stack:
        server.next(400, code="content_filter")
        with llmstack.OpenAI(stack=stack, **OUTER) as client, pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**chat())
    body: Any = caught.value.body
    assert caught.value.code == "content_filter"
    assert body["innererror"]["content_filter_result"]["violence"] == {"filtered": True, "severity": "medium"}
    (finished,) = [event for event in recorder.events if isinstance(event, AttemptFinished)]
    assert (finished.status, finished.error) == (400, caught.value)


@SURFACES
@pytest.mark.parametrize("stream", [False, True])
def test_moderation_hears_what_azure_says(way: Any, *, stream: bool) -> None:
    """Of a prompt that it refuses, and of what it lets pass."""
    recorder, moderation = Recorder(), Moderation(endpoint=False, azure="low", output=True)
    with LocalServer() as server, Stack([moderation, recorder], transport=way(server)) as stack:
        client = llmstack.OpenAI(stack=stack, **OUTER)
        answer = client.chat.completions.create(**chat(stream=stream))
        _ = list(answer) if stream else answer
        heard = [event for event in recorder.events if isinstance(event, ContentModerated)]
        assert {(event.source, event.flagged) for event in heard} == {("azure", False)}
        server.next(400, code="content_filter")
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**chat(stream=stream))
    last = [event for event in recorder.events if isinstance(event, ContentModerated)][-1]
    assert (last.source, last.flagged, last.categories) == ("azure", True, ("violence",))


@SURFACES
async def test_the_wait_that_azure_asks_for_is_kept(way: Any) -> None:
    """In milliseconds, sync and async."""
    for asynchronous in (False, True):
        clock = FakeClock()
        with LocalServer() as server:
            server.next(429, headers={"retry-after-ms": "1500", "retry-after": "60"})
            stack = Stack([Retry()], transport=way(server), clock=clock)
            if asynchronous:
                await llmstack.AsyncOpenAI(stack=stack, **OUTER).chat.completions.create(**chat())
            else:
                llmstack.OpenAI(stack=stack, **OUTER).chat.completions.create(**chat())
            await stack.aclose()
        assert clock.sleeps == [1.5]


@SURFACES
def test_a_missing_deployment_is_azures_error(way: Any) -> None:
    """As the SDK raises it."""
    with LocalServer() as server, client_of(way(server, deployments={"m": MISSING_MODEL})) as client, client.stack:
        result = client.chat.completions.with_raw_response
        with pytest.raises(openai.NotFoundError) as caught:
            result.create(**chat() | {"model": "m"})
    assert caught.value.code == ("DeploymentNotFound" if way is to_azure else "model_not_found")


@SURFACES
def test_a_transport_that_translates_stands_on_azure(way: Any) -> None:
    """It goes where the inner one goes, and needs no key of the client's either."""
    recorder = Recorder()
    with LocalServer() as server:
        transport = ChatTransport(way(server, deployments=DEPLOYMENTS))
        with Stack([recorder], transport=transport) as stack, llmstack.OpenAI(stack=stack, **OUTER) as client:
            assert client.responses.create(model="gpt-5-mini", input="Hi").output_text == "You said: Hi"
        assert {event.call.host for event in recorder.events} == {f"127.0.0.1:{server.port}"}
        assert server.requests[0].json["model"] == "prod-mini"
