"""A transport's own place, time-out and account, from its options or the environment, hold for all who ask."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import Stack
from llmstack.errors import OptionError
from llmstack.testing import LocalServer, Recorder
from llmstack.transports import OpenAITransport
from tests.clients.differential import KEY
from tests.transports.own_rig import (
    OUTER,
    WAYS,
    chat,
    client_of,
    everything,
    to_openai,
    without_variables,
)

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
