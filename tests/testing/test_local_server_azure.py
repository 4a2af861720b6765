"""Azure's surfaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AzureOpenAI, OpenAI

from llmstack.testing.local_server import MISSING_MODEL, LocalServer

KEY = "not-a-key"
VERSION = "2024-10-21"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(server: LocalServer) -> Iterator[AzureOpenAI]:
    with AzureOpenAI(azure_endpoint=server.azure_endpoint, api_key=KEY, api_version=VERSION, max_retries=0) as client:
        yield client


def test_a_deployment_answers(server: LocalServer, client: AzureOpenAI) -> None:
    """Its name stands in the path; the filter's results come along."""
    completion = client.chat.completions.create(model="mine", messages=HELLO)
    assert (completion.model, completion.choices[0].message.content) == ("mine", "You said: Hello")
    assert "prompt_filter_results" in completion.to_dict()
    request = server.requests[0]
    assert request.path == "/openai/deployments/mine/chat/completions"
    assert request.query == {"api-version": VERSION}
    assert request.headers["api-key"] == KEY


def test_a_stream_begins_without_choices(client: AzureOpenAI) -> None:
    """The first chunk holds the prompt's filter results only."""
    first, *rest = client.chat.completions.create(model="mine", messages=HELLO, stream=True)
    assert first.choices == []
    assert "prompt_filter_results" in first.to_dict()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in rest) == "You said: Hello"


def test_the_v1_surface_needs_no_version(server: LocalServer) -> None:
    """The plain client reaches it, by ``api-key`` or bearer token."""
    with OpenAI(base_url=f"{server.azure_endpoint}/openai/v1", api_key=KEY) as client:
        assert client.responses.create(model="mine", input="Hi").output_text == "You said: Hi"
        assert client.chat.completions.create(model="mine", messages=HELLO).model == "mine"


def test_a_token_is_as_good_as_a_key(server: LocalServer) -> None:
    """Azure AD."""
    with AzureOpenAI(
        azure_endpoint=server.azure_endpoint, azure_ad_token=KEY, api_version=VERSION, azure_deployment="mine"
    ) as client:
        assert client.chat.completions.create(model="other", messages=HELLO).model == "mine"


def test_what_has_no_deployment_lies_beside(server: LocalServer, client: AzureOpenAI) -> None:
    """Models, files and responses are under ``/openai``."""
    assert client.models.list().data
    assert client.files.create(file=("a.txt", b"x"), purpose="batch").bytes == 1
    assert client.responses.create(model="mine", input="Hi").output_text == "You said: Hi"
    paths = [request.path for request in server.requests]
    assert paths == ["/openai/models", "/openai/files", "/openai/responses"]
    assert len(client.embeddings.create(model="mine", input="x", dimensions=2).data[0].embedding) == 2


@pytest.mark.parametrize(
    "path", ["/openai/chat/completions", "/openai/deployments/mine/files", "/openai/deployments/mine/nothing", "/else"]
)
def test_wrong_paths(server: LocalServer, path: str) -> None:
    """Chat needs a deployment, files must have none, the rest does not exist."""
    with (
        OpenAI(base_url=server.azure_endpoint, api_key=KEY) as client,
        pytest.raises(openai.NotFoundError),
    ):
        client.post(path, cast_to=object, body={}, options={"params": {"api-version": VERSION}})


def test_a_missing_deployment_version_or_key(server: LocalServer, client: AzureOpenAI) -> None:
    """Azure's own errors."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=MISSING_MODEL, messages=HELLO)
    assert caught.value.code == "DeploymentNotFound"
    with pytest.raises(openai.NotFoundError) as unversioned:
        client.models.list(extra_query={"api-version": ""})
    assert unversioned.value.code == "404"
    with pytest.raises(openai.AuthenticationError) as unknown:
        client.models.list(extra_headers={"api-key": ""})
    assert unknown.value.code == "401"
    assert server.requests[-1].headers["api-key"] == ""


def test_azures_headers_come_along(client: AzureOpenAI) -> None:
    """Beside the usual ones."""
    headers = client.models.with_raw_response.list().headers
    assert {"apim-request-id", "x-ms-region", "x-request-id"} <= headers.keys()
