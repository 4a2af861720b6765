"""What a redirect to another origin takes along: no key, in whatever header it is."""

# ruff: noqa: SLF001 -- the HTTP client is the SDK's private matter

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import Stack
from llmstack.testing import LocalServer
from tests.clients.differential import KEY
from tests.transports.own_rig import AZURE_VERSION, chat, everything

GATEWAYS = {
    "api-key": "gateway-not-a-key",
    "x-api-key": "gateway-not-a-key",
    "cf-aig-authorization": "Bearer gateway-not-a-key",
    "Helicone-Auth": "Bearer gateway-not-a-key",
    "x-portkey-api-key": "gateway-not-a-key",
    "Proxy-Authorization": "Basic gateway-not-a-key",
    "X-Route": f"by {KEY}",  # the client's key in a header that is not called so
    "X-Other": "sk-another-not-a-key",  # what looks like one
    "Cookie": "session=not-a-key",
    "OpenAI-Project": "proj-not-a-key",
}
STRANGE = {"x-plain": "1", "idempotency-key": "once"}


@pytest.fixture
def home() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


def client_options(server: LocalServer, kind: str) -> dict[str, Any]:
    where: dict[str, Any] = {"base_url": server.base_url}
    if "Azure" in kind:
        where = {"azure_endpoint": server.azure_endpoint, "api_version": AZURE_VERSION}
    headers = {**GATEWAYS, **STRANGE}
    if "Azure" in kind:
        del headers["api-key"]  # its own is in there
    return {"api_key": KEY, "max_retries": 0, "default_headers": headers, "stack": Stack([]), **where}


def of_models(client: Any, **more: Any) -> Any:
    return client.models.list(**more)


def of_chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(**chat(**more))


def of_stream(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(**chat(stream=True, **more))


def of_raw(client: Any, **more: Any) -> Any:
    return client.files.with_raw_response.create(file=b"x", purpose="batch", **more)


Ask = Callable[..., Any]
ASKED = pytest.mark.parametrize("ask", [of_models, of_chat, of_stream, of_raw])
SYNC = pytest.mark.parametrize("kind", ["OpenAI", "AzureOpenAI"])
ASYNC = pytest.mark.parametrize("kind", ["AsyncOpenAI", "AsyncAzureOpenAI"])


def send_away(server: LocalServer, to: str, status: int = 307) -> None:
    server.next(status, headers={"location": to}, body={})


def assert_no_key(server: LocalServer) -> None:
    """It was asked, and told all that is no key."""
    assert server.count() == 1
    assert "not-a-key" not in everything(server)
    headers = server.requests[0].headers
    assert {name: headers.get(name) for name in STRANGE} == STRANGE
    assert "user-agent" in headers


@SYNC
@ASKED
def test_a_redirect_to_another_port_takes_no_key_along(
    ask: Ask, kind: str, home: LocalServer, elsewhere: LocalServer
) -> None:
    """Of a client's own, of its headers', and of the call's."""
    send_away(home, f"{elsewhere.base_url}/nowhere")
    with (
        getattr(llmstack, kind)(**client_options(home, kind)) as client,
        pytest.raises(openai.APIStatusError),
    ):
        ask(client, extra_headers={"x-call-token": "call-not-a-key"})
    assert_no_key(elsewhere)
    assert "call-not-a-key" in everything(home)


@ASYNC
@ASKED
async def test_an_async_redirect_to_another_port_takes_no_key_along(
    ask: Ask, kind: str, home: LocalServer, elsewhere: LocalServer
) -> None:
    """The same with async clients, on both event loops."""
    send_away(home, f"{elsewhere.base_url}/nowhere")
    async with getattr(llmstack, kind)(**client_options(home, kind)) as client:
        with pytest.raises(openai.APIStatusError):
            await ask(client, extra_headers={"x-call-token": "call-not-a-key"})
    assert_no_key(elsewhere)


@ASYNC
@ASKED
def test_a_redirect_over_aiohttp_takes_no_key_along(
    ask: Ask, kind: str, home: LocalServer, elsewhere: LocalServer
) -> None:
    """In the first event loop and in the next one."""
    client = getattr(llmstack, kind)(http="aiohttp", **client_options(home, kind))

    async def main() -> None:
        send_away(home, f"{elsewhere.base_url}/nowhere")
        with pytest.raises(openai.APIStatusError):
            await ask(client)
        assert_no_key(elsewhere)
        elsewhere.reset()

    asyncio.run(main())
    asyncio.run(main())
    asyncio.run(client.close())


def test_a_redirect_in_a_second_loop_takes_no_key_along(home: LocalServer, elsewhere: LocalServer) -> None:
    """Each loop has connections of its own."""
    client = llmstack.AsyncOpenAI(**client_options(home, "AsyncOpenAI"))

    async def main() -> None:
        send_away(home, f"{elsewhere.base_url}/nowhere")
        with pytest.raises(openai.APIStatusError):
            await of_models(client)
        assert_no_key(elsewhere)
        elsewhere.reset()

    asyncio.run(main())
    asyncio.run(main())
    asyncio.run(client.close())


def test_a_redirect_in_another_process_takes_no_key_along(
    home: LocalServer, elsewhere: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So has each process."""
    with llmstack.OpenAI(**client_options(home, "OpenAI")) as client:
        send_away(home, f"{elsewhere.base_url}/nowhere")
        another = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: another)
        with pytest.raises(openai.APIStatusError):
            of_models(client)
        client.close()
        monkeypatch.undo()
    assert_no_key(elsewhere)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_kind_of_redirect_takes_a_key_along(status: int, home: LocalServer, elsewhere: LocalServer) -> None:
    """Those that become a GET neither."""
    send_away(home, f"{elsewhere.base_url}/nowhere", status)
    with llmstack.OpenAI(**client_options(home, "OpenAI")) as client, pytest.raises(openai.APIStatusError):
        of_chat(client)
    assert_no_key(elsewhere)


def test_keys_do_not_come_back_with_the_second_redirect(home: LocalServer, elsewhere: LocalServer) -> None:
    """Home again by way of elsewhere: nobody knows who led there."""
    send_away(home, f"{elsewhere.base_url}/nowhere")
    send_away(elsewhere, f"{home.base_url}/models")
    with llmstack.OpenAI(**client_options(home, "OpenAI")) as client, pytest.raises(openai.AuthenticationError):
        of_models(client)
    assert "x-api-key" in home.requests[0].headers
    assert "not-a-key" not in str(home.requests[1].headers)


@pytest.mark.parametrize("ask", [of_models, of_chat])
def test_a_redirect_within_the_origin_keeps_all(ask: Ask, home: LocalServer) -> None:
    """A relative one, or the whole address."""
    path = "/v1/models" if ask is of_models else "/v1/chat/completions"
    with llmstack.OpenAI(**client_options(home, "OpenAI")) as client:
        for to in (path, home.base_url.removesuffix("/v1") + path):
            send_away(home, to)
            ask(client)
    for request in home.requests:
        assert {name: request.headers[name.lower()] for name in GATEWAYS if name != "Cookie"} == {
            name: value for name, value in GATEWAYS.items() if name != "Cookie"
        }
        assert request.headers["authorization"] == f"Bearer {KEY}"


UPGRADES = {
    "http://api.example.com/v1/models > https://api.example.com/v1/models": True,
    "http://api.example.com:80/v1/models > https://API.example.com:443/v1/models": True,
    "http://api.example.com/v1/models > https://api.example.com:8443/v1/models": False,
    "http://api.example.com:8080/v1/models > https://api.example.com/v1/models": False,
    "https://api.example.com/v1/models > http://api.example.com/v1/models": False,
    "https://api.example.com/v1/models > https://api.example.com.evil.example/v1/models": False,
    "https://api.example.com/v1/models > https://user@other.example.com/v1/models": False,
    "https://api.example.com/v1/models > https://api.example.com:443/v1/other": True,
}


@pytest.mark.parametrize("way", UPGRADES)
def test_keys_go_where_authorization_goes(way: str) -> None:
    """The HTTP library lets that one go to the same host by TLS, from the usual port to the usual port."""
    start, _, end = way.partition(" > ")
    with llmstack.OpenAI(api_key=KEY, base_url="https://api.example.com/v1", stack=Stack([])) as client:
        request = httpx2.Request("GET", start, headers={**GATEWAYS, **STRANGE, "Authorization": f"Bearer {KEY}"})
        moved = client._client._build_redirect_request(request, httpx2.Response(307, headers={"location": end}))
    kept = {name for name in {"authorization", *map(str.lower, GATEWAYS)} - {"cookie"} if name in moved.headers}
    assert kept == ({"authorization", *map(str.lower, GATEWAYS)} - {"cookie"} if UPGRADES[way] else set())
    assert STRANGE.items() <= dict(moved.headers).items()


def test_an_http_client_of_the_programs_own_follows_as_it_was_made(home: LocalServer, elsewhere: LocalServer) -> None:
    """It is used as it is: the SDK's takes such headers along, a plain one follows no redirect at all."""
    for http_client, asked in ((openai.DefaultHttpxClient(), 1), (httpx2.Client(), 1)):
        send_away(home, f"{elsewhere.base_url}/nowhere")
        options = client_options(home, "OpenAI")
        with (
            llmstack.OpenAI(**options, http_client=http_client) as client,
            pytest.raises(openai.APIStatusError),
        ):
            of_models(client)
        assert elsewhere.count() == asked
    assert elsewhere.requests[0].headers["x-api-key"] == "gateway-not-a-key"
    assert "authorization" not in elsewhere.requests[0].headers
