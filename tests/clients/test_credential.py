"""Who asks can be told apart by plugins, and nothing of a key be learnt."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.testing import ScriptedTransport

KEY = "sk-test-not-a-key"


class Owner:
    """Somebody with a method that gives keys."""

    def key(self) -> str:
        """A key."""
        return KEY


def digests(kind: Any = llmstack.OpenAI, **given: Any) -> tuple[str, str]:
    """The digests of a call of a client made so."""
    seen: list[Call] = []

    def look(call: Call, next: Next) -> Flow[Reply]:
        seen.append(call)
        return (yield from next(call))

    stack = Stack([look], transport=ScriptedTransport(["Hello"]))
    if kind is llmstack.OpenAI:
        given = {"api_key": KEY, "base_url": "http://scripted.invalid/v1", **given}
    client = kind(stack=stack, **given)
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    client.close()
    (call,) = seen
    assert call.transport == stack.transport.name
    return call.credential, call.settings


def test_the_same_client_made_twice_is_the_same() -> None:
    """And its digests are short, and say nothing of the key."""
    credential, settings = digests()
    assert (credential, settings) == digests()
    assert len(credential) == len(settings) == 32
    assert KEY not in credential


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": "sk-test-not-a-key-2"},
        {"admin_api_key": "sk-test-not-a-key"},
        {"default_headers": {"Authorization": "Bearer not-a-key"}},
        {"default_headers": {"x-portkey-api-key": "not-a-key"}},
        {"default_headers": {"api-key": openai.Omit()}},
        {"default_query": {"key": "not-a-key"}},
        {"base_url": "http://user:not-a-key@scripted.invalid/v1"},
        {"http_client": httpx2.Client(auth=("user", "not-a-key"))},
        {"http_client": httpx2.Client(headers={"X-Gateway-Key": "not-a-key"})},
        {"http_client": httpx2.Client(params={"key": "not-a-key"})},
    ],
)
def test_another_key_is_another_credential(given: dict[str, Any]) -> None:
    """Wherever it is; the settings are the same."""
    credential, settings = digests(**given)
    plain = digests()
    assert credential != plain[0]
    assert settings == plain[1]


@pytest.mark.parametrize(
    "given",
    [
        {"organization": "org-1"},
        {"project": "proj-1"},
        {"default_headers": {"x-provider": "other"}},
        {"default_headers": {"x-provider": openai.Omit()}},
        {"default_query": {"api-version": "2"}},
        {"http_client": httpx2.Client(headers={"X-Provider": "other"})},
        {"http_client": httpx2.Client(params={"api-version": "2"})},
    ],
)
def test_other_settings_are_other_settings(given: dict[str, Any]) -> None:
    """The credential is the same."""
    credential, settings = digests(**given)
    plain = digests()
    assert credential == plain[0]
    assert settings != plain[1]


def test_an_http_client_of_ones_own_that_adds_nothing_changes_nothing() -> None:
    """Whatever it calls itself, and whatever cookies a server has set on it."""
    with_cookies = httpx2.Client(cookies={"session": "1"}, headers={"User-Agent": "mine/1.0"})
    assert digests(http_client=httpx2.Client()) == digests(http_client=with_cookies) == digests()


def test_what_is_changed_on_an_http_client_counts() -> None:
    """From the next call on."""
    seen: list[str] = []

    def look(call: Call, next: Next) -> Flow[Reply]:
        seen.append(call.credential)
        return (yield from next(call))

    stack = Stack([look], transport=ScriptedTransport(default="Hello"))
    with httpx2.Client() as http, llmstack.OpenAI(api_key=KEY, stack=stack, http_client=http) as client:
        for key in (None, "not-a-key", "another"):
            if key is not None:
                http.headers["x-api-key"] = key
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert len(set(seen)) == 3


def test_the_case_of_a_headers_name_does_not_count() -> None:
    """As in HTTP."""
    assert digests(default_headers={"X-Provider": "a"}) == digests(default_headers={"x-provider": "a"})


def test_a_function_that_gives_keys_is_a_credential_of_its_own() -> None:
    """Its keys change, who it is does not."""

    def first() -> str:
        return KEY

    def second() -> str:
        return KEY

    assert digests(api_key=first) == digests(api_key=first)
    assert len({digests(api_key=give)[0] for give in (first, second, KEY)}) == 3


def test_so_is_the_method_of_an_object() -> None:
    """Though it is another object each time that it is looked at."""
    owner, other = Owner(), Owner()
    assert digests(api_key=owner.key) == digests(api_key=owner.key)
    assert digests(api_key=owner.key) != digests(api_key=other.key)


@pytest.mark.parametrize("name", ["api_key", "azure_ad_token", "azure_ad_token_provider"])
def test_azures_keys_count(name: str) -> None:
    """All kinds of them."""

    def given(value: str) -> Any:
        provider: Callable[[], str] = lambda: value  # noqa: E731
        return provider if name.endswith("provider") else value

    azure: dict[str, Any] = {"azure_endpoint": "http://scripted.invalid", "api_version": "1"}
    found = {
        digests(llmstack.AzureOpenAI, **azure, **{name: given(value)})[0] for value in ("not-a-key-1", "not-a-key-2")
    }
    assert len(found) == 2


def test_a_call_made_by_hand_has_none() -> None:
    """Nobody's key is sent with it."""
    call = Call(path="/chat/completions", endpoint="chat.completions")
    assert (call.credential, call.settings, call.transport) == ("", "", "")


def test_it_is_the_same_in_every_process() -> None:
    """So that processes can share what they keep."""
    code = (
        "import llmstack\nfrom llmstack._wire.credential import credential_of, settings_of\n"
        f"client = llmstack.OpenAI(api_key={KEY!r}, base_url='http://scripted.invalid/v1')\n"
        "print(credential_of(client), settings_of(client))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert tuple(done.stdout.split()) == digests()


def test_a_client_that_is_changed_is_another() -> None:
    """Whatever of it is changed in place."""
    seen: set[tuple[str, str]] = set()

    def look(call: Call, next: Next) -> Flow[Reply]:
        seen.add((call.credential, call.settings))
        return (yield from next(call))

    stack = Stack([look], transport=ScriptedTransport(default="Hello"))
    client = llmstack.OpenAI(
        api_key=KEY, base_url="http://scripted.invalid/v1", stack=stack, default_headers={"x-a": "1"}
    )

    def ask() -> int:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        return len(seen)

    assert ask() == 1
    client.api_key = KEY + "-2"
    assert ask() == 2
    client.organization = "org-1"
    assert ask() == 3
    headers: Any = client._custom_headers  # noqa: SLF001 - where the SDK keeps them
    headers["x-a"] = "2"
    assert ask() == 4
    assert ask() == 4
    client.close()
