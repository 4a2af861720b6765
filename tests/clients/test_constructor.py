"""The clients' constructors: the SDK's arguments and environment, and ``stack=``."""

# ruff: noqa: SLF001 -- what is equal inside is compared too

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

import llmstack
import llmstack.clients
from llmstack import Stack
from llmstack._wire import arguments
from llmstack.testing import LocalServer
from tests.clients.calls import chat

KEY = "sk-test-not-a-key"
KINDS = ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI")
# Early SDKs wrap whatever sending raises.
CLOSED = (RuntimeError, openai.APIConnectionError)
AZURE = {"azure_endpoint": "http://azure.invalid", "api_version": "2024-10-21"}


def make(kind: str, **options: Any) -> Any:
    return getattr(llmstack, kind)(**{"api_key": KEY, **(AZURE if "Azure" in kind else {}), **options})


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LLMSTACK_CONFIG", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("kind", KINDS)
def test_the_signature_is_the_sdks_and_a_stack(kind: str) -> None:
    """Every argument with its kind and default, as ``help()`` shows it."""
    theirs = inspect.signature(getattr(openai, kind)).parameters
    ours = dict(inspect.signature(getattr(llmstack, kind)).parameters)
    for name in ("stack", "http") if "Async" in kind else ("stack",):
        own = ours.pop(name)
        assert (own.kind, own.default) == (inspect.Parameter.KEYWORD_ONLY, None)
    assert ours == dict(theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_type_checkers_know_every_argument(kind: str) -> None:
    """What `Unpack` lists is what the SDK takes; it may list what only a newer SDK has."""
    typed = {"OpenAI": "SyncOptions", "AsyncOpenAI": "AsyncOptions"}
    typed |= {"AzureOpenAI": "SyncAzureOptions", "AsyncAzureOpenAI": "AsyncAzureOptions"}
    known = set(getattr(arguments, typed[kind]).__annotations__)
    taken = set(inspect.signature(getattr(openai, kind)).parameters)
    assert taken - known <= {"workload_identity"}  # Azure takes it and says it does not work
    assert known - taken <= {"data_residency"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_argument_is_the_sdks_error(kind: str) -> None:
    """A TypeError that names it."""
    with pytest.raises(TypeError, match="api_keyy"):
        make(kind, api_keyy="x")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [[], 3, object(), openai.OpenAI], ids=["list", "int", "object", "class"])
def test_a_stack_of_the_wrong_type_is_an_error(kind: str, wrong: Any) -> None:
    """It says what is wanted."""
    with pytest.raises(TypeError, match="stack= takes a Stack"):
        make(kind, stack=wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_clients_without_a_stack_share_one(kind: str) -> None:
    """One for the process, whichever kind of client; a client with one has its own."""
    assert make(kind).stack is make("OpenAI").stack
    assert make(kind, stack=Stack([])).stack is not make(kind).stack


def test_one_stack_is_shared_by_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if they make the first clients at once."""
    monkeypatch.setattr(llmstack.clients, "_shared", {})
    together = threading.Barrier(8)
    stacks: list[Stack] = []

    def work() -> None:
        together.wait(10)
        stacks.append(make("OpenAI").stack)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(stack) for stack in stacks}) == 1
    assert len(stacks) == 8


def test_a_config_file_makes_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by argument (text or path) or by LLMSTACK_CONFIG; an empty variable is none."""
    made: list[Any] = []
    monkeypatch.setattr(Stack, "from_config", classmethod(lambda cls, path: made.append(path) or Stack([])))
    monkeypatch.setattr(llmstack.clients, "_shared", {})
    path = tmp_path / "llmstack.toml"
    make("OpenAI", stack=path)
    make("AsyncOpenAI", stack=str(path))
    assert made == [path, str(path)]
    monkeypatch.setenv("LLMSTACK_CONFIG", str(path))
    client = make("OpenAI")
    assert make("AzureOpenAI").stack is client.stack
    assert client.copy().stack is client.stack
    assert made == [path, str(path), str(path)]
    assert make("OpenAI", stack=Stack([])).stack is not client.stack
    monkeypatch.setenv("LLMSTACK_CONFIG", "")
    assert make("OpenAI").stack is not client.stack
    assert len(made) == 3


def test_a_missing_config_file_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the client is made, naming the file."""
    missing = tmp_path / "missing.toml"
    with pytest.raises(llmstack.StackError, match=r"missing\.toml"):
        make("OpenAI", stack=missing)
    monkeypatch.setenv("LLMSTACK_CONFIG", str(missing))
    with pytest.raises(llmstack.StackError, match=r"missing\.toml"):
        make("OpenAI")


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_httpx_client_is_warned_about(kind: str) -> None:
    """Once, at the line that passes it; it still works."""
    old = httpx.AsyncClient() if kind.startswith("Async") else httpx.Client()
    with pytest.warns(UserWarning, match="httpx2") as caught:
        client = make(kind, http_client=old, stack=Stack([]))
    assert client._client is old
    assert client.with_options(timeout=3).copy()._client is old
    assert [warning.filename for warning in caught] == [__file__]


def test_an_old_httpx_client_works() -> None:
    """As it does with the SDK."""
    with LocalServer() as server, httpx.Client() as old:
        with pytest.warns(UserWarning, match="httpx2"):
            client = llmstack.OpenAI(base_url=server.base_url, api_key=KEY, http_client=old, stack=Stack([]))  # type: ignore[typeddict-item]
        assert client.chat.completions.create(**chat()).choices[0].message.content == "You said: Good morning"
        chunks = list(client.chat.completions.create(**chat(stream=True)))
        assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("kind", KINDS)
def test_a_programs_http_client_is_used_as_it_is(kind: str) -> None:
    """Not wrapped, not replaced, and its time-out is taken over as the SDK does."""
    own: Any = httpx2.AsyncClient(timeout=3) if kind.startswith("Async") else httpx2.Client(timeout=3)
    client = make(kind, http_client=own, stack=Stack([]))
    assert client._client is own
    assert client.timeout == httpx2.Timeout(3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("timeout", [openai.NOT_GIVEN, None, 7, httpx2.Timeout(9, connect=1)], ids=repr)
def test_attributes_are_the_sdks(kind: str, timeout: Any) -> None:
    """Also those of the HTTP client underneath."""
    more = AZURE if "Azure" in kind else {"base_url": "http://api.invalid/v1", "project": "p"}
    options = {"api_key": KEY, "timeout": timeout, "max_retries": 4, "organization": "o", "default_query": {"q": "1"}}
    theirs, ours = (getattr(module, kind)(**options, **more) for module in (openai, llmstack))
    headers = [
        {n: None if isinstance(h, openai.Omit) else h for n, h in c.default_headers.items()} for c in (ours, theirs)
    ]
    assert headers[0] == headers[1]
    for name in ("api_key", "organization", "project", "max_retries", "timeout", "base_url"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("default_query", "user_agent", "auth_headers", "webhook_secret", "websocket_base_url"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("timeout", "base_url", "headers", "follow_redirects", "max_redirects", "trust_env", "event_hooks"):
        assert getattr(ours._client, name) == getattr(theirs._client, name), name
    assert ours.is_closed() is False


def test_a_missing_key_is_the_sdks_error() -> None:
    """The same words."""
    for kind in KINDS:
        messages = []
        for module in (openai, llmstack):
            with pytest.raises(openai.OpenAIError) as caught:
                getattr(module, kind)(**(AZURE if "Azure" in kind else {}))
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


def test_azure_reads_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint, version and key, as the SDK does."""
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "http://azure.invalid")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-not-a-key")
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-10-21")
    for kind in ("AzureOpenAI", "AsyncAzureOpenAI"):
        client = getattr(llmstack, kind)(stack=Stack([]))
        assert str(client.base_url) == "http://azure.invalid/openai/"
        assert client.api_key == "azure-not-a-key"
        assert isinstance(client, llmstack.AsyncOpenAI if kind.startswith("Async") else llmstack.OpenAI)
        assert client.with_options(timeout=3).stack is client.stack


def test_azure_deployments_and_tokens_reach_the_wire() -> None:
    """A deployment of the client; a token asked for anew for each request."""
    tokens = iter(["first-not-a-key", "second-not-a-key"])
    with LocalServer() as server:
        with llmstack.AzureOpenAI(
            azure_endpoint=server.azure_endpoint,
            azure_deployment="mine",
            api_version="2024-10-21",
            azure_ad_token_provider=lambda: next(tokens),
            stack=Stack([]),
        ) as client:
            client.chat.completions.create(**chat())
            client.chat.completions.create(**chat())
        assert [request.path for request in server.requests] == ["/openai/deployments/mine/chat/completions"] * 2
        assert [request.headers["authorization"] for request in server.requests] == [
            "Bearer first-not-a-key",
            "Bearer second-not-a-key",
        ]


def test_a_key_may_be_a_function() -> None:
    """Asked for each request, as with the SDK."""
    keys = iter(["sk-test-1", "sk-test-2"])
    with LocalServer() as server:
        with llmstack.OpenAI(base_url=server.base_url, api_key=lambda: next(keys), stack=Stack([])) as client:
            client.models.retrieve("m")
            client.models.retrieve("m")
        assert [request.headers["authorization"] for request in server.requests] == [
            "Bearer sk-test-1",
            "Bearer sk-test-2",
        ]


def test_a_client_closes() -> None:
    """By ``close`` and by ``with``, and refuses calls then as the SDK's does."""
    with LocalServer() as server:
        options: Any = {"base_url": server.base_url, "api_key": KEY, "max_retries": 0, "stack": Stack([])}
        with llmstack.OpenAI(**options) as client:
            client.models.retrieve("m")
            assert server.open_connections == 1
        assert client.is_closed()
        server.wait_for(lambda server: server.open_connections == 0)
        with pytest.raises(CLOSED) as caught:
            client.models.retrieve("m")
        assert "closed" in str(caught.value.__cause__ or caught.value)


async def test_an_async_client_closes() -> None:
    """The same."""
    with LocalServer() as server:
        options: Any = {"base_url": server.base_url, "api_key": KEY, "max_retries": 0, "stack": Stack([])}
        async with llmstack.AsyncOpenAI(**options) as client:
            await client.models.retrieve("m")
        assert client.is_closed()
        server.wait_for(lambda server: server.open_connections == 0)
        with pytest.raises(CLOSED) as caught:
            await client.models.retrieve("m")
        assert "closed" in str(caught.value.__cause__ or caught.value)


def test_importing_the_package_does_not_import_the_sdk() -> None:
    """Only using a client does."""
    code = "import sys, llmstack; assert 'openai' not in sys.modules; llmstack.OpenAI; assert 'openai' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
