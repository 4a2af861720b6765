"""Keys and accounts: what is for one host reaches no other."""

# ruff: noqa: SLF001 -- a client's cookies are its HTTP client's

from __future__ import annotations

import logging
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import Stack
from llmstack.errors import OptionError, UnsupportedError
from llmstack.middleware import Logging, Retry
from llmstack.secrets import mask
from llmstack.testing import LocalServer, Recorder
from llmstack.transports import AzureTransport, OpenAITransport
from tests.clients.differential import KEY
from tests.transports.own_rig import (
    NOWHERE,
    OUTER,
    OUTER_KEY,
    WAYS,
    aclient_of,
    chat,
    client_of,
    to_azure,
    to_openai,
    without_variables,
)

MEANT_FOR_THE_CLIENTS_HOST = {
    "Authorization": "Bearer sk-call-not-a-key",
    "api-key": "call-not-a-key",
    "X-Api-Key": "call-not-a-key",
    "x-session-token": "call-not-a-key",
    "Cookie": "session=call-not-a-key",
    "OpenAI-Organization": "org-call",
    "OpenAI-Project": "proj-call",
}


def everything(server: LocalServer) -> str:
    """All that the server was sent."""
    return " ".join(f"{request.path} {request.query} {request.headers} {request.body!r}" for request in server.requests)


@WAYS
def test_nothing_of_the_clients_account_travels(way: Any) -> None:
    """Keys, organization, project, default headers and query, cookies: of the client and of the call."""
    with LocalServer() as server, client_of(way(server)) as client, client.stack:
        client._client.cookies.set("session", "outer-not-a-key")
        client.chat.completions.create(**chat(), extra_headers=MEANT_FOR_THE_CLIENTS_HOST, extra_query={"key": "outer"})
        client.chat.completions.create(**chat(stream=True), extra_headers=MEANT_FOR_THE_CLIENTS_HOST).close()
        client.files.create(file=("a.txt", b"x"), purpose="batch")
        client.with_options(api_key="sk-copy-not-a-key", default_headers={"x-outer": "copied"}).models.list()
        sent = everything(server)
        assert server.count() == 4
    for word in ("outer", "org-", "proj-", "call-not-a-key", "copied", "copy-not-a-key", "cookie"):
        assert word not in sent, word
    assert all(KEY in str(request.headers) for request in server.requests)


async def test_nothing_of_an_async_clients_account_travels() -> None:
    """The same with async clients."""
    with LocalServer() as server:
        async with aclient_of(to_openai(server)) as client, client.stack:
            await client.chat.completions.create(**chat(), extra_headers=MEANT_FOR_THE_CLIENTS_HOST)
        sent = everything(server)
    assert not [word for word in ("outer", "org-", "proj-", "call-not-a-key") if word in sent]
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@WAYS
def test_what_is_said_for_a_call_and_is_no_key_travels(way: Any) -> None:
    """Headers, query, body, time-out: the program's, wherever the call goes."""
    with LocalServer() as server, client_of(way(server)) as client, client.stack:
        client.chat.completions.create(
            **chat(),
            extra_headers={"x-mine": "1", "idempotency-key": "once", "User-Agent": openai.Omit()},
            extra_query={"a": ["1", "2"]},
            extra_body={"top_k": 3},
            timeout=7,
        )
    headers, query = server.requests[0].headers, server.requests[0].query
    assert (headers["x-mine"], headers["idempotency-key"], headers["x-stainless-read-timeout"]) == ("1", "once", "7")
    assert "openai" not in headers.get("user-agent", "").lower()
    assert query["a[]"] == "2"
    assert server.requests[0].json["top_k"] == 3


def test_leaving_out_a_key_for_a_call_leaves_the_transports_own() -> None:
    """`Omit` was said to the client's host."""
    with LocalServer() as server, client_of(to_openai(server)) as client, client.stack:
        client.chat.completions.create(**chat(), extra_headers={"Authorization": openai.Omit()})
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_transport_has_settings_of_its_own() -> None:
    """Organization, project, headers (a gateway's key, say) and query."""
    with LocalServer() as server:
        own = to_openai(
            server,
            organization="org-own",
            project="proj-own",
            default_headers={"x-gateway-key": "gateway-not-a-key"},
            default_query={"route": "a"},
        )
        with client_of(own) as client, client.stack:
            client.models.list()
    headers = server.requests[0].headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-own", "proj-own")
    assert headers["x-gateway-key"] == "gateway-not-a-key"
    assert server.requests[0].query == {"route": "a"}
    assert mask("gateway-not-a-key") == "***"


@WAYS
def test_a_redirect_elsewhere_takes_no_key_along(way: Any) -> None:
    """Also not in a header that the HTTP client does not know."""
    with LocalServer() as server, LocalServer() as other:
        own = way(server, default_headers={"x-gateway-key": "gateway-not-a-key", "x-plain": "1"})
        server.next(307, headers={"location": f"{other.base_url}/models"}, body={})
        with client_of(own) as client, client.stack, pytest.raises(openai.AuthenticationError):
            client.models.list()
        assert "not-a-key" not in everything(other)
        assert other.requests[0].headers["x-plain"] == "1"
        assert "not-a-key" in everything(server)


async def test_a_redirect_of_an_async_call_takes_no_key_along() -> None:
    """The same with async clients."""
    with LocalServer() as server, LocalServer() as other:
        server.next(307, headers={"location": f"{other.base_url}/models"}, body={})
        async with aclient_of(to_azure(server)) as client, client.stack:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        assert "not-a-key" not in everything(other)


def test_an_address_of_the_clients_host_becomes_one_of_the_transports() -> None:
    """Such as the next page that a program asks for by its address."""
    with LocalServer() as server, client_of(to_openai(server)) as client, client.stack:
        client.get(f"{NOWHERE}/models?after=x", cast_to=object)
        client.get(f"{server.base_url}/models", cast_to=object)
    assert [(request.path, request.query) for request in server.requests] == [
        ("/v1/models", {"after": "x"}),
        ("/v1/models", {}),
    ]


@WAYS
def test_an_address_of_a_third_host_is_refused(way: Any) -> None:
    """It would be sent the transport's key."""
    with LocalServer() as server, client_of(way(server)) as client, client.stack:
        with pytest.raises(UnsupportedError, match=r"addressed to third\.invalid, but this transport sends to 127"):
            client.get("http://third.invalid/v1/models", cast_to=object)
        assert server.count() == 0


# Where a call goes, for all who ask --------------------------------------------------------------------------------


@WAYS
def test_events_know_where_the_call_goes(way: Any) -> None:
    """From the start, and so do circuits, budgets and spans, which go by the same."""
    recorder, hosts = Recorder(), []

    def layer(call: llmstack.Call, next: llmstack.Next) -> llmstack.Flow[llmstack.Reply]:
        hosts.append((call.host, call.aside("moderations", "/moderations", {}).host))
        return (yield from next(call))

    with LocalServer() as server:
        own = way(server)
        with Stack([layer, recorder], transport=own) as stack, llmstack.OpenAI(stack=stack, **OUTER) as client:
            client.chat.completions.create(**chat())
        host = f"127.0.0.1:{server.port}"
    assert hosts == [(host, host)]
    assert {event.call.host for event in recorder.events} == {host}
    assert own.place.base_url.endswith("/")


def test_a_time_out_of_the_transport_is_for_calls_that_bring_none() -> None:
    """That of the call goes first, then the transport's, then the client's."""
    with LocalServer() as server:
        for own, said, expected in ((9, 7, "7"), (9, None, "9"), (None, None, "11")):
            transport = to_openai(server, **({} if own is None else {"timeout": own}))
            more: Any = {} if said is None else {"timeout": said}
            with client_of(transport, timeout=11) as client, client.stack:
                client.chat.completions.create(**chat(), **more)
            assert server.requests[-1].headers["x-stainless-read-timeout"] == expected


def test_the_clients_retries_are_the_sdks_own() -> None:
    """Where no plugin retries, `max_retries` of the client counts."""
    with LocalServer() as server, client_of(to_openai(server), max_retries=3) as client, client.stack:
        server.next(503, headers={"retry-after-ms": "1"}, times=3)
        assert client.chat.completions.create(**chat()).id
        assert server.count() == 4


def test_two_accounts_are_two_customers() -> None:
    """To a cache: by the transport's key, and by the client's."""
    seen: dict[tuple[str, str], tuple[str, str]] = {}

    def look(call: llmstack.Call, next: llmstack.Next) -> llmstack.Flow[llmstack.Reply]:
        seen[(own, outer)] = (call.credential, call.settings)
        return (yield from next(call))

    with LocalServer() as server:
        for own in ("sk-one-not-a-key", "sk-two-not-a-key"):
            transport = OpenAITransport(base_url=server.base_url, api_key=own)
            for outer in ("sk-a-not-a-key", "sk-b-not-a-key"):
                with llmstack.OpenAI(api_key=outer, stack=Stack([look], transport=transport)) as client:
                    client.models.list()
            transport.close()
    assert len({credential for credential, _ in seen.values()}) == 4
    assert len({settings for _, settings in seen.values()}) == 1
    assert not [word for word in ("sk-one", "not-a-key") if word in str(list(seen.values()))]


# The environment ---------------------------------------------------------------------------------------------------


def test_the_environment_fills_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key and the address, as in the SDK; with the key the whole account."""
    without_variables(monkeypatch)
    with LocalServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_ORG_ID", "org-env")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-env")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-env: 1")
        monkeypatch.setenv("OPENAI_ADMIN_KEY", "admin-not-a-key")
        with client_of(OpenAITransport(api_key=KEY)) as client, client.stack:
            client.models.list()
        monkeypatch.setenv("OPENAI_API_KEY", "sk-env-not-a-key")
        with client_of(OpenAITransport(timeout=5)) as client, client.stack:
            client.models.list()
    own, ambient = (request.headers for request in server.requests)
    assert own["authorization"] == f"Bearer {KEY}"
    assert not [name for name in ("openai-organization", "openai-project", "x-env") if name in own]
    assert ambient["authorization"] == "Bearer sk-env-not-a-key"
    names = ("openai-organization", "openai-project", "x-env")
    assert [ambient[name] for name in names] == ["org-env", "proj-env", "1"]


def test_an_account_of_its_own_has_no_admin_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the environment is another account's."""
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "admin-not-a-key")
    with LocalServer() as server, client_of(to_openai(server)) as client, client.stack:
        with pytest.raises(TypeError, match="authentication"):
            client.admin.organization.projects.list()
        assert "admin-not-a-key" not in everything(server)


def test_a_client_needs_no_key_where_the_transport_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do its copies; with another stack they do."""
    without_variables(monkeypatch)
    with LocalServer() as server, llmstack.OpenAI(stack=Stack([], transport=to_openai(server))) as client, client.stack:
        assert client.with_options(timeout=3).chat.completions.create(**chat()).id
        with pytest.raises(openai.OpenAIError, match="Missing credentials"):
            client.copy(stack=Stack([]))
    with pytest.raises(openai.OpenAIError, match="Missing credentials"):
        llmstack.OpenAI(stack=Stack([]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "https://llm.example.com/v1"}, "needs a key: give it api_key=, or set OPENAI_API_KEY"),
        ({"api_key": "k", "base_url": "llm.example.com"}, "base_url= must be an address"),
        ({"api_key": "k", "base_url": "ftp://user:not-a-key@example.com"}, "base_url= must be an address"),
        ({"api_key": "k", "http_client": object()}, r"http_client= takes an httpx2\.Client, not object"),
        ({"api_key": "k", "async_http_client": httpx2.Client}, r"async_http_client= takes an httpx2\.AsyncClient"),
    ],
)
def test_a_mistake_is_found_when_the_transport_is_made(
    options: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to change, and quotes nothing that may be a key."""
    without_variables(monkeypatch)
    with pytest.raises(OptionError, match=said) as caught:
        OpenAITransport(**options)
    assert "not-a-key" not in str(caught.value)


# Keys from functions -----------------------------------------------------------------------------------------------


def test_a_function_gives_the_key_of_each_request() -> None:
    """It may change; what it gave is known as a secret."""
    keys = iter(["sk-first-not-a-key", "sk-second-not-a-key"])
    with LocalServer() as server:
        own = OpenAITransport(base_url=server.base_url, api_key=lambda: next(keys))
        with client_of(own) as client, client.stack:
            client.models.list()
            client.models.list()
    told = [request.headers["authorization"] for request in server.requests]
    assert told == ["Bearer sk-first-not-a-key", "Bearer sk-second-not-a-key"]
    assert "second" not in mask("sk-second-not-a-key")


async def test_a_function_may_be_async_for_async_clients() -> None:
    """Or not."""

    async def later() -> str:
        return "sk-later-not-a-key"

    with LocalServer() as server:
        for key in (later, lambda: "sk-now-not-a-key"):
            own = OpenAITransport(base_url=server.base_url, api_key=key)
            async with aclient_of(own) as client, client.stack:
                await client.models.list()
    told = [request.headers["authorization"] for request in server.requests]
    assert told == ["Bearer sk-later-not-a-key", "Bearer sk-now-not-a-key"]


def test_an_async_function_cannot_serve_a_sync_client() -> None:
    """The error says so, and nobody is left waiting."""

    async def later() -> str:
        return "sk-later-not-a-key"

    with LocalServer() as server:
        for own in (
            OpenAITransport(base_url=server.base_url, api_key=later),
            AzureTransport(endpoint=server.azure_endpoint, api_version="1", azure_ad_token_provider=later),
        ):
            with client_of(own) as client, client.stack, pytest.raises(UnsupportedError, match="is async"):
                client.models.list()
        assert server.count() == 0


@pytest.mark.parametrize("given", ["", None, 7])
def test_a_function_must_give_a_key(given: Any) -> None:
    """What it gave instead is told by its kind."""
    with LocalServer() as server:
        own = OpenAITransport(base_url=server.base_url, api_key=lambda: given)
        with client_of(own) as client, client.stack, pytest.raises(OptionError, match="must return a key"):
            client.models.list()


# Secrecy -----------------------------------------------------------------------------------------------------------


@WAYS
def test_no_log_event_or_error_tells_a_key(
    way: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """At the most talkative, on an error that quotes the key."""
    caplog.set_level(logging.DEBUG)
    recorder = Recorder()
    with LocalServer() as server:
        own = way(server, default_headers={"x-gateway-key": "gateway-not-a-key"})
        server.next(401, message=f"Incorrect API key provided: {KEY} or gateway-not-a-key", times=None)
        plugins = [Retry(), Logging(format="json", level="DEBUG"), recorder]
        with Stack(plugins, transport=own) as stack, llmstack.OpenAI(stack=stack, **OUTER) as client:
            with pytest.raises(openai.AuthenticationError):
                client.chat.completions.create(**chat())
            shown = [repr(own), repr(stack), stack.explain(), repr(client.stack.transport), repr(own.place)]
    out, err = capfd.readouterr()
    said = " ".join([out, err, caplog.text, *shown, *map(repr, recorder.events)])
    assert "call" in said
    assert not [key for key in (KEY, OUTER_KEY, "not-a-key") if key in said]
    assert mask(f"{KEY} gateway-not-a-key") == "*** ***"
