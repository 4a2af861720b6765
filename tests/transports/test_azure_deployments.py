"""Azure: a request names its deployment, on either surface."""

from __future__ import annotations

from typing import Any

import pytest

import llmstack
from llmstack import Stack
from llmstack.errors import UnsupportedError
from llmstack.testing import LocalServer, Recorder
from tests.clients.differential import KEY
from tests.transports.own_rig import (
    AZURE_VERSION,
    DEPLOYMENTS,
    OUTER,
    SURFACES,
    chat,
    client_of,
    to_azure,
    to_azure_v1,
)


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
    with LocalServer() as server, Stack([recorder], transport=way(server, deployments=DEPLOYMENTS)) as stack:
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
        own = way(server, deployments=DEPLOYMENTS, strict_deployments=True)
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
