"""Azure: models and deployments, both surfaces, what its errors and filters say."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from pydantic import BaseModel

import llmstack
from llmstack import Stack
from llmstack.errors import OptionError, UnsupportedError
from llmstack.events import AttemptFinished, ContentModerated
from llmstack.middleware import Moderation, Retry
from llmstack.secrets import mask
from llmstack.testing import MISSING_MODEL, FakeClock, LocalServer, Recorder
from llmstack.transports import AzureTransport, ChatTransport
from tests.clients.differential import KEY
from tests.transports.own_rig import (
    AZURE_VERSION,
    OUTER,
    aclient_of,
    chat,
    client_of,
    to_azure,
    to_azure_v1,
    without_variables,
)

SURFACES = pytest.mark.parametrize("way", [to_azure, to_azure_v1], ids=["deployments", "v1"])
TABLE = {"gpt-5-mini": "prod-mini", "gpt-5*": "prod-big", "text-embedding-?": "vectors", "gpt-5-[ab]": "never"}


# Deployments -------------------------------------------------------------------------------------------------------


@SURFACES
@pytest.mark.parametrize(
    ("model", "deployment"),
    [
        ("gpt-5-mini", "prod-mini"),  # by name, whatever patterns say
        ("gpt-5", "prod-big"),
        ("gpt-5-a", "prod-big"),  # the first pattern that fits
        ("text-embedding-3", "vectors"),
        ("text-embedding-30", "text-embedding-30"),  # not known: it may be a deployment
        ("GPT-5", "GPT-5"),  # names are not folded
    ],
)
def test_a_table_maps_models_to_deployments(way: Any, model: str, deployment: str) -> None:
    """Names, then patterns in their order; the program's model stays what events tell."""
    recorder = Recorder()
    with LocalServer() as server, Stack([recorder], transport=way(server, deployments=TABLE)) as stack:
        with llmstack.OpenAI(stack=stack, **OUTER) as client:
            client.chat.completions.create(**chat() | {"model": model})
        request = server.requests[0]
    assert request.json["model"] == deployment
    if way is to_azure:
        assert request.path == f"/openai/deployments/{deployment}/chat/completions"
        assert request.query == {"api-version": AZURE_VERSION}
        assert request.headers["api-key"] == KEY
    else:
        assert request.path == "/openai/v1/chat/completions"
        assert request.query == {}
        assert request.headers["authorization"] == f"Bearer {KEY}"
    assert {event.call.model for event in recorder.events} == {model}


def test_which_endpoints_are_a_deployments() -> None:
    """Those that the SDK puts under it; everything else lies beside, with the deployment in its body."""
    deployments = {"m": "mine"}
    with LocalServer() as server, client_of(to_azure(server, deployments=deployments)) as client, client.stack:
        client.embeddings.create(model="m", input="x")
        client.completions.create(model="m", prompt="x")
        client.audio.transcriptions.create(model="m", file=("a.wav", b"x"))
        client.audio.speech.create(model="m", voice="alloy", input="x")
        client.images.generate(model="m", prompt="x")
        client.images.edit(model="m", image=("a.png", b"x"), prompt="x")
        client.responses.create(model="m", input="x")
        client.models.retrieve("m")
        client.files.create(file=("a.txt", b"x"), purpose="batch")
        requests = server.requests
    assert [request.path for request in requests] == [
        "/openai/deployments/mine/embeddings",
        "/openai/deployments/mine/completions",
        "/openai/deployments/mine/audio/transcriptions",
        "/openai/deployments/mine/audio/speech",
        "/openai/deployments/mine/images/generations",
        "/openai/deployments/mine/images/edits",
        "/openai/responses",
        "/openai/models/m",
        "/openai/files",
    ]
    assert requests[6].json["model"] == "mine"
    assert {request.query["api-version"] for request in requests} == {AZURE_VERSION}


def test_a_base_model_is_no_deployment() -> None:
    """What is fine-tuned is a model of the catalogue."""
    with LocalServer() as server, client_of(to_azure_v1(server, deployments={"m": "mine"})) as client, client.stack:
        client.fine_tuning.jobs.create(model="m", training_file="file-1")
        assert server.requests[-1].json["model"] == "m"


def test_an_upload_is_told_its_deployment() -> None:
    """In the form, on the surface v1."""
    with LocalServer() as server, client_of(to_azure_v1(server, deployments={"m": "mine"})) as client, client.stack:
        client.audio.transcriptions.create(model="m", file=("a.wav", b"RIFF"))
        body = server.requests[-1].body
    assert b'name="model"\r\n\r\nmine\r\n' in body
    assert b"RIFF" in body


def test_a_function_knows_the_deployments() -> None:
    """What it does not know passes, or not if that is asked for."""

    def deployment(model: str) -> str | None:
        return f"{model}-eu" if model.startswith("gpt") else None

    with LocalServer() as server:
        with client_of(to_azure(server, deployments=deployment)) as client, client.stack:
            assert client.chat.completions.create(**chat()).model == "gpt-5-mini-eu"
            assert client.chat.completions.create(**chat() | {"model": "other"}).model == "other"
        strict = to_azure(server, deployments=deployment, strict_deployments=True)
        with client_of(strict) as client, client.stack, pytest.raises(UnsupportedError, match="no deployment for"):
            client.chat.completions.create(**chat() | {"model": "other"})


@SURFACES
def test_a_model_without_deployment_is_refused_if_asked_for(way: Any) -> None:
    """Before anything is sent; the message says what there is."""
    with LocalServer() as server:
        own = way(server, deployments=TABLE, strict_deployments=True)
        with client_of(own) as client, client.stack:
            with pytest.raises(UnsupportedError, match=r"'gtp-5-mini'; did you mean 'gpt-5-mini'\?") as caught:
                client.chat.completions.create(**chat() | {"model": "gtp-5-mini"})
            assert client.models.list().data
        assert caught.value.call is not None
        assert server.count() == 1


@pytest.mark.parametrize("model", ["../../files", "a/b", "a?b", "a#b", "a%2Fb", "..", "", "a b"])
def test_a_model_that_is_no_deployment_name_stays_out_of_the_path(model: str) -> None:
    """It would lead to another endpoint."""
    with LocalServer() as server, client_of(to_azure(server)) as client, client.stack:
        with pytest.raises(UnsupportedError, match="cannot be the name of a deployment"):
            client.chat.completions.create(**chat() | {"model": model})
        assert server.count() == 0


# Options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "options", "address"),
    [
        ("https://r.example.com", {"api_version": "1"}, "https://r.example.com/openai/"),
        ("https://r.example.com/", {"api": "v1"}, "https://r.example.com/openai/v1/"),
        ("https://r.example.com/openai/v1/", {}, "https://r.example.com/openai/v1/"),
        ("https://r.example.com/openai", {"api_version": "1"}, "https://r.example.com/openai/"),
        (
            "https://r.example.com/openai/v1",
            {"api": "deployments", "api_version": "1"},
            "https://r.example.com/openai/",
        ),
        ("https://gate.example.com/llm", {"api": "v1"}, "https://gate.example.com/llm/openai/v1/"),
    ],
)
def test_an_endpoint_is_the_resource_or_its_surface(endpoint: str, options: Any, address: str) -> None:
    """People paste either."""
    transport = AzureTransport(endpoint=endpoint, api_key=KEY, **options)
    assert transport.place.base_url == address
    assert repr(transport) == f"AzureTransport({address!r})"
    transport.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_key": KEY, "api": "v1"}, "needs endpoint=, or AZURE_OPENAI_ENDPOINT"),
        ({"api_key": KEY, "endpoint": "r.example.com", "api": "v1"}, "endpoint= must be an address"),
        ({"api_key": KEY, "endpoint": "https://r.example.com"}, r'needs api_version= .* or api="v1"'),
        ({"endpoint": "https://r.example.com", "api": "v1"}, "needs api_key=, azure_ad_token= or azure_ad_token_provi"),
        ({"endpoint": "https://r.example.com", "api": "v2"}, "api= takes 'deployments' or 'v1', not 'v2'"),
        (
            {"endpoint": "https://r.example.com", "api": "v1", "api_key": KEY, "azure_ad_token": "token-not-a-key"},
            "one of api_key and azure_ad_token, not both",
        ),
        (
            {"endpoint": "https://r.example.com", "api": "v1", "api_key": KEY, "deployments": ["a"]},
            "deployments= takes a table of models and deployments, or a function, not list",
        ),
        (
            {"endpoint": "https://r.example.com", "api": "v1", "api_key": KEY, "deployments": {"m": "a/b"}},
            "'a/b', given for 'm', cannot be the name of a deployment",
        ),
    ],
)
def test_a_mistake_is_found_when_the_transport_is_made(
    options: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to change."""
    without_variables(monkeypatch)
    with pytest.raises(OptionError, match=said):
        AzureTransport(**options)


def test_the_environment_fills_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the SDK; and nothing of OpenAI's account."""
    without_variables(monkeypatch)
    with LocalServer() as server:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", server.azure_endpoint)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-env-not-a-key")
        monkeypatch.setenv("OPENAI_API_VERSION", "2025-01-01")
        for name in ("API_KEY", "ORG_ID", "PROJECT_ID", "ADMIN_KEY"):
            monkeypatch.setenv(f"OPENAI_{name}", f"openai-{name}-not-a-key")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-env: openai-env")
        with client_of(AzureTransport()) as client, client.stack:
            client.models.list()
        with client_of(AzureTransport(api="v1")) as client, client.stack:
            client.models.list()
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "azure-token-not-a-key")
        with client_of(AzureTransport()) as client, client.stack:
            client.models.list()
        with client_of(AzureTransport(api_key=KEY)) as client, client.stack:
            client.models.list()
        old, v1, token, explicit = server.requests
    assert (old.headers["api-key"], old.query) == ("azure-env-not-a-key", {"api-version": "2025-01-01"})
    assert (v1.headers["authorization"], v1.query) == ("Bearer azure-env-not-a-key", {})
    assert (token.headers["authorization"], "api-key" in token.headers) == ("Bearer azure-token-not-a-key", False)
    assert (explicit.headers["api-key"], "authorization" in explicit.headers) == (KEY, False)
    assert not [request for request in server.requests if "openai-" in str(request.headers)]


def test_a_version_may_be_given_on_the_surface_v1() -> None:
    """For what is in preview there."""
    with LocalServer() as server, client_of(to_azure_v1(server, api_version="preview")) as client, client.stack:
        client.models.list()
        assert server.requests[0].query == {"api-version": "preview"}


@SURFACES
async def test_tokens_of_entra_id(way: Any) -> None:
    """Given, or from a function, which is asked for each request and may be async."""
    asked: list[str] = []

    def provider() -> str:
        asked.append(f"token-{len(asked)}-not-a-key")
        return asked[-1]

    async def aprovider() -> str:
        return provider()

    with LocalServer() as server:
        options = {"api": "v1"} if way is to_azure_v1 else {"api_version": AZURE_VERSION}

        def transport(**credential: Any) -> AzureTransport:
            return AzureTransport(endpoint=server.azure_endpoint, **options, **credential)

        with client_of(transport(azure_ad_token="static-not-a-key")) as client, client.stack:
            client.models.list()
        with client_of(transport(azure_ad_token_provider=provider)) as client, client.stack:
            client.models.list()
            client.models.list()
        for function in (provider, aprovider):
            async with aclient_of(transport(azure_ad_token_provider=function)) as aclient, aclient.stack:
                await aclient.models.list()
        told = [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]
        assert not [request for request in server.requests if "api-key" in request.headers]
    assert told == ["static-not-a-key", *asked]
    assert len(asked) == 4
    assert [mask(token) for token in told] == ["***"] * 5


def test_azures_own_client_goes_on_as_the_sdks() -> None:
    """And goes where a transport sends, if its stack has one."""
    with LocalServer() as server, LocalServer() as other:
        azure: Any = {"azure_endpoint": server.azure_endpoint, "api_version": "1", "api_key": "az-outer-not-a-key"}
        with llmstack.AzureOpenAI(**azure, stack=Stack([])) as client:
            assert client.chat.completions.create(**chat()).model == "gpt-5-mini"
        with (
            llmstack.AzureOpenAI(
                **azure, azure_deployment="outer", stack=Stack([], transport=to_azure(other, deployments=TABLE))
            ) as client,
            client.stack,
        ):
            assert client.chat.completions.create(**chat()).model == "prod-mini"
        assert server.requests[0].path == "/openai/deployments/gpt-5-mini/chat/completions"
        assert other.requests[0].path == "/openai/deployments/prod-mini/chat/completions"
        assert other.requests[0].query == {"api-version": AZURE_VERSION}
        assert "outer" not in str(other.requests[0].headers)


# What comes back ---------------------------------------------------------------------------------------------------


class City(BaseModel):
    """What `.parse()` gives."""

    name: str


@SURFACES
def test_parsed_answers(way: Any) -> None:
    """As with any client."""
    with LocalServer() as server, client_of(way(server, deployments=TABLE)) as client, client.stack:
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
        transport = ChatTransport(way(server, deployments=TABLE))
        with Stack([recorder], transport=transport) as stack, llmstack.OpenAI(stack=stack, **OUTER) as client:
            assert client.responses.create(model="gpt-5-mini", input="Hi").output_text == "You said: Hi"
        assert {event.call.host for event in recorder.events} == {f"127.0.0.1:{server.port}"}
        assert server.requests[0].json["model"] == "prod-mini"
