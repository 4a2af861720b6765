"""What a plugin sees of a call, what it may change, and what of that reaches the wire."""

# ruff: noqa: SLF001 -- what is equal inside is compared too

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

import llmstack
import llmstack.errors
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.middleware import Retry
from llmstack.testing import LocalServer
from tests.clients.calls import chat

KEY = "sk-test-not-a-key"


class Layer:
    """A plugin that changes calls by a function, and keeps what came and what went."""

    name = "layer"

    def __init__(self, change: Callable[[Call], Call] = lambda call: call) -> None:
        self.change = change
        self.calls: list[Call] = []

    @llmstack.hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        self.calls.append(call)
        return (yield from next(self.change(call)))

    @property
    def call(self) -> Call:
        return self.calls[-1]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


def client_of(server: LocalServer, layer: Layer, *more: Any, **options: Any) -> llmstack.OpenAI:
    options = {"base_url": server.base_url, "api_key": KEY, "max_retries": 0, **options}
    return llmstack.OpenAI(**options, stack=Stack([layer, *more]))


# What it sees --------------------------------------------------------------------------------------------------------


def test_a_call_says_what_was_asked(server: LocalServer) -> None:
    """Method, path, endpoint, model, parameters with ``extra_body`` in them, query, headers, mode, time-out."""
    layer = Layer()
    with client_of(server, layer) as client:
        client.chat.completions.create(
            **chat(temperature=0),
            extra_body={"top_k": 3, "temperature": 1},
            extra_query={"q": "1"},
            extra_headers={"x-a": "1"},
            timeout=7,
        )
    call = layer.call
    assert (call.method, call.path, call.endpoint) == ("POST", "/chat/completions", "chat.completions")
    assert call.params == {**chat(), "temperature": 1, "top_k": 3}
    assert (call.model, call.stream, call.raw, call.replayable) == ("gpt-5-mini", False, "", True)
    assert (dict(call.query), dict(call.headers), call.timeout) == ({"q": "1"}, {"x-a": "1"}, 7)
    assert call.base_url == f"{server.base_url}/"


@pytest.mark.parametrize(
    ("make", "endpoint", "params"),
    [
        (lambda c: c.models.list(), "models", {}),
        (lambda c: c.models.retrieve("chat"), "models", {}),
        (lambda c: c.embeddings.create(model="e", input="x"), "embeddings", {"model": "e", "input": "x"}),
        (lambda c: c.responses.create(model="m", input="x"), "responses", {"model": "m", "input": "x"}),
        (lambda c: c.files.create(file=b"x", purpose="batch"), "files", {"purpose": "batch"}),
        (lambda c: c.files.list(limit=3), "files", {}),
        (lambda c: c.post("/embeddings", cast_to=object, content=b'{"model":"e","input":"x"}'), "embeddings", {}),
    ],
    ids=["list", "get", "embeddings", "responses", "form", "query", "bytes"],
)
def test_every_endpoint_has_its_name(server: LocalServer, make: Any, endpoint: str, params: dict[str, Any]) -> None:
    """And its parameters, where the body is JSON or a form."""
    layer = Layer()
    with client_of(server, layer) as client:
        make(client)
    assert layer.call.endpoint == endpoint
    seen = dict(layer.call.params)
    seen.pop("encoding_format", None)  # the SDK's own
    seen.pop("file", None)
    assert seen == params


def test_a_call_says_how_it_was_asked(server: LocalServer) -> None:
    """Raw, streaming and streamed are three different things."""
    layer = Layer()
    with client_of(server, layer) as client:
        client.chat.completions.with_raw_response.create(**chat())
        with client.chat.completions.with_streaming_response.create(**chat()):
            pass
        client.chat.completions.create(**chat(stream=True)).close()
        client.chat.completions.with_raw_response.create(**chat(stream=True)).http_response.close()
    assert [(call.raw, call.stream) for call in layer.calls] == [
        ("raw", False),
        ("stream", False),
        ("", True),
        ("raw", True),
    ]
    assert layer.calls[0].id != layer.calls[1].id


def test_a_call_says_how_often_it_may_be_sent(server: LocalServer) -> None:
    """None where the program left the SDK's default; a one-shot body not at all."""
    layer = Layer()
    with client_of(server, layer, max_retries=2) as client:
        client.models.retrieve("m")
        client.with_options(max_retries=5).models.retrieve("m")
        client.get("/models", cast_to=object, options={"max_retries": 2})
        client.post("/embeddings", cast_to=object, content=iter([b'{"model":"e","input":"x"}']))
    assert [call.max_retries for call in layer.calls] == [None, 5, 2, None]
    assert [call.replayable for call in layer.calls] == [True, True, True, False]


def test_credentials_in_the_base_url_are_not_shown(server: LocalServer) -> None:
    """They are sent, but no plugin sees them."""
    layer = Layer()
    where = server.base_url.replace("http://", "http://me:secret-not-a-key@")
    with client_of(server, layer, base_url=where) as client:
        client.models.retrieve("m")
    assert layer.call.base_url == f"{server.base_url}/"
    assert "secret" not in repr(layer.call)
    assert "secret" not in repr(client.stack)


def test_a_client_that_points_elsewhere_from_now_on_says_so(server: LocalServer) -> None:
    """Each call tells where it goes itself."""
    layer = Layer()
    with LocalServer() as other, client_of(server, layer) as client:
        client.models.retrieve("m")
        client.base_url = other.base_url
        client.models.retrieve("m")
        client.base_url = server.base_url
        client.models.retrieve("m")
        wanted = [f"{where}/" for where in (server.base_url, other.base_url, server.base_url)]
    assert [call.base_url for call in layer.calls] == wanted
    assert len({call.host for call in layer.calls}) == 2


def test_nothing_secret_is_in_a_calls_repr(server: LocalServer) -> None:
    """No prompt, no header."""
    layer = Layer()
    with client_of(server, layer) as client:
        client.chat.completions.create(**chat("a private question"), extra_headers={"authorization": "Bearer private"})
    for shown in (repr(layer.call), repr(layer.call.info), repr(layer.call.request), repr(layer.call.options)):
        assert "private" not in shown


# What it changes -----------------------------------------------------------------------------------------------------


def test_changed_parameters_are_sent(server: LocalServer) -> None:
    """Set, replaced, removed; the model too; ``extra_body`` is merged once."""
    layer = Layer(lambda call: call.with_params(model="other", seed=7, without=("temperature",)))
    with client_of(server, layer) as client:
        answer = client.chat.completions.create(**chat(temperature=1), extra_body={"top_k": 3, "seed": 1})
    assert server.requests[0].json == {**chat(), "model": "other", "seed": 7, "top_k": 3}
    assert answer.model == "other"


def test_a_changed_model_is_azures_deployment() -> None:
    """The path follows the parameters."""
    layer = Layer(lambda call: call.with_params(model="other"))
    with (
        LocalServer() as server,
        llmstack.AzureOpenAI(
            azure_endpoint=server.azure_endpoint, api_version="2024-10-21", api_key=KEY, stack=Stack([layer])
        ) as client,
    ):
        client.chat.completions.create(**chat())
        assert server.requests[0].path == "/openai/deployments/other/chat/completions"


def test_changed_parameters_of_a_form_are_sent(server: LocalServer) -> None:
    """Beside its files."""
    layer = Layer(lambda call: call.with_params(purpose="assistants"))
    with client_of(server, layer) as client:
        file = client.files.create(file=("a.txt", io.BytesIO(b"content")), purpose="batch")
        assert client.files.content(file.id).content == b"content"
    assert file.purpose == "assistants"


def test_changed_headers_query_and_path_are_sent(server: LocalServer) -> None:
    """Added and taken away."""

    def change(call: Call) -> Call:
        headers = {**call.headers, "x-b": "2", "x-a": openai.Omit(), "OpenAI-Organization": "org-9"}
        return call.replace(headers=headers, query={**call.query, "r": "2"}, path="/models/other")

    layer = Layer(change)
    with client_of(server, layer, organization="org-1") as client:
        client.models.retrieve("m", extra_headers={"x-a": "1"}, extra_query={"q": "1"})
    request = server.requests[0]
    assert request.headers.get("x-a") is None
    assert (request.headers["x-b"], request.headers["openai-organization"]) == ("2", "org-9")
    assert (request.path, dict(request.query)) == ("/v1/models/other", {"q": "1", "r": "2"})


def test_other_headers_do_not_change_how_the_program_gets_its_answer(server: LocalServer) -> None:
    """The raw modes travel in a header, which is not for layers to lose."""
    layer = Layer(lambda call: call.replace(headers={"x-a": "1"}))
    with client_of(server, layer) as client:
        raw = client.models.with_raw_response.retrieve("m")
        assert raw.parse().id == "m"
        with client.models.with_streaming_response.retrieve("m") as lazy:
            assert lazy.parse().id == "m"
    assert [request.headers["x-a"] for request in server.requests] == ["1", "1"]


def test_a_changed_time_out_holds(server: LocalServer) -> None:
    """For the request and for what the server is told of it."""
    layer = Layer(lambda call: call.replace(timeout=0.2))
    server.next(fault="hang")
    with client_of(server, layer) as client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**chat())
    assert server.requests[0].headers["x-stainless-read-timeout"] == "0.2"


def test_an_unchanged_call_is_sent_as_the_sdk_made_it(server: LocalServer) -> None:
    """A copy with nothing changed is no change."""
    layer = Layer(lambda call: call.replace())
    with client_of(server, layer) as client:
        client.chat.completions.create(**chat(), extra_body={"top_k": 3})
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([])) as client:
        client.chat.completions.create(**chat(), extra_body={"top_k": 3})
    first, second = server.requests
    assert first.body == second.body
    assert list(first.headers.items()) == list(second.headers.items())


def test_a_change_holds_for_every_attempt(server: LocalServer) -> None:
    """Made outside `Retry` it is sent each time."""
    layer = Layer(lambda call: call.with_params(seed=7).replace(headers={"x-b": "2"}))
    server.next(500, headers={"retry-after-ms": "1"})
    with client_of(server, layer, Retry(), max_retries=2) as client:
        client.chat.completions.create(**chat())
    assert [request.json["seed"] for request in server.requests] == [7, 7]
    assert [request.headers["x-b"] for request in server.requests] == ["2", "2"]


def test_an_answer_of_a_layer_is_the_programs(server: LocalServer) -> None:
    """In every mode, with the SDK's own types; nothing is sent."""
    body = {
        "id": "mine",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "From a layer"}}],
    }

    class Answer:
        @llmstack.hookimpl
        def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
            return Reply(body, headers={"x-request-id": "req_mine"})
            yield

    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([Answer()])) as client:
        plain = client.chat.completions.create(**chat())
        assert isinstance(plain, ChatCompletion)
        assert plain.choices[0].message.content == "From a layer"
        assert plain._request_id == "req_mine"
        raw = client.chat.completions.with_raw_response.create(**chat())
        assert (raw.parse(), raw.request_id, raw.status_code) == (plain, "req_mine", 200)
        with client.chat.completions.with_streaming_response.create(**chat()) as response:
            assert response.parse() == plain
        chunks = list(client.chat.completions.create(**chat(stream=True)))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "From a layer"
        with client.chat.completions.stream(**chat()) as stream:
            assert stream.get_final_completion().choices[0].message.content == "From a layer"
    assert server.count() == 0


def test_parameters_of_a_body_that_is_no_object_cannot_be_changed(server: LocalServer) -> None:
    """There are none: a layer that sets one is told so, and the body is not lost in silence."""
    layer = Layer(lambda call: call.with_params(seed=1))
    with client_of(server, layer) as client:
        wrong: Any = ({"content": b'{"model":"e","input":"x"}'}, {"body": [1]})
        for options in wrong:
            with pytest.raises(llmstack.errors.UnsupportedError, match="body"):
                client.post("/embeddings", cast_to=object, **options)
    assert server.count() == 0
