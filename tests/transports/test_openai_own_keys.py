"""Keys and accounts: what is for one host reaches no other."""

# ruff: noqa: SLF001 -- a client's cookies are its HTTP client's

from __future__ import annotations

import logging
from typing import Any

import openai
import pytest

import llmstack
from llmstack import Stack
from llmstack.errors import UnsupportedError
from llmstack.middleware import Logging, Retry
from llmstack.secrets import mask
from llmstack.testing import LocalServer, Recorder
from tests.clients.differential import KEY
from tests.transports.own_rig import (
    NOWHERE,
    OUTER,
    OUTER_KEY,
    WAYS,
    aclient_of,
    chat,
    client_of,
    everything,
    to_azure,
    to_openai,
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
