"""Transports in a config file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmstack import Flow, Incoming, OpenAI, Reply, Stack, Transport
from llmstack._core.call import Call
from llmstack._plugins.config import read_config
from llmstack.errors import ConfigError, OptionError
from llmstack.secrets import mask
from llmstack.testing import LocalServer
from llmstack.transports import AzureTransport, ChatTransport, OpenAITransport, ResponsesTransport
from tests.plugins.conftest import Install
from tests.transports.own_rig import chat, without_variables

KEY = "sk-test-not-a-key"
Write = Callable[[str], Path]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a config file, give its path; the environment has the keys that it may name."""
    without_variables(monkeypatch)
    monkeypatch.setenv("MY_KEY", KEY)

    def write(text: str) -> Path:
        path = tmp_path / "llmstack.toml"
        path.write_text(f"{text}\n" if "plugins = " in text else f'plugins = ["retry"]\n{text}\n')
        return path

    return write


def test_a_stack_from_a_file_sends_there(config: Write) -> None:
    """One line of the program, and none of its keys."""
    with LocalServer() as server:
        path = config(
            f'[transport]\nuse = "openai"\nbase_url = "{server.base_url}"\napi_key = "env:MY_KEY"\ntimeout = 7'
        )
        with Stack.from_config(path) as stack, OpenAI(stack=stack) as client:
            assert client.chat.completions.create(**chat()).choices[0].message.content == "You said: Hi"
        headers = server.requests[0].headers
    assert (headers["authorization"], headers["x-stainless-read-timeout"]) == (f"Bearer {KEY}", "7.0")


def test_azure_with_its_deployments(config: Write) -> None:
    """Tables are tables."""
    with LocalServer() as server:
        path = config(
            f"""
            [transport]
            use = "azure"
            endpoint = "{server.azure_endpoint}"
            api = "v1"
            api_key = "env:MY_KEY"
            strict_deployments = true
            default_headers = {{ x-gateway-key = "env:MY_KEY" }}
            [transport.deployments]
            "gpt-5*" = "prod"
            """
        )
        with Stack.from_config(path) as stack, OpenAI(stack=stack) as client:
            assert isinstance(stack.transport, AzureTransport)
            assert client.chat.completions.create(**chat()).model == "prod"
        assert server.requests[0].headers["x-gateway-key"] == KEY


@pytest.mark.parametrize(
    ("use", "kind", "path"),
    [("chat", ChatTransport, "chat/completions"), ("responses", ResponsesTransport, "responses")],
)
def test_a_transport_around_another(config: Write, use: str, kind: type, path: str) -> None:
    """The inner one is a table of its own; several may be nested."""
    with LocalServer() as server:
        file = config(
            f"""
            [transport]
            use = "{use}"
            lossy = "warn"
            inner = {{ use = "azure", endpoint = "{server.azure_endpoint}", api = "v1", api_key = "env:MY_KEY" }}
            """
        )
        with Stack.from_config(file) as stack, OpenAI(stack=stack) as client:
            assert isinstance(stack.transport, kind)
            assert client.responses.create(model="m", input="Hi").output_text == "You said: Hi"
            assert client.chat.completions.create(**chat()).choices[0].message.content == "You said: Hi"
        assert {request.path for request in server.requests} == {f"/openai/v1/{path}"}


def test_named_transports(config: Write) -> None:
    """For routes: they are made and checked like the stack's own."""
    read = read_config(
        config(
            """
            [transports.prod]
            use = "azure"
            endpoint = "https://example.openai.azure.com"
            api = "v1"
            api_key = "env:MY_KEY"
            [transports.spare]
            use = "openai"
            api_key = "env:MY_KEY"
            [transports.client]
            use = "openai"
            """
        )
    )
    assert read.transport is None
    assert {name: type(transport) for name, transport in read.transports.items()} == {
        "prod": AzureTransport,
        "spare": OpenAITransport,
        "client": OpenAITransport,
    }
    places: dict[str, Any] = {name: getattr(transport, "place", None) for name, transport in read.transports.items()}
    assert places["prod"].base_url == "https://example.openai.azure.com/openai/v1/"
    assert places["spare"].base_url == "https://api.openai.com/v1/"
    assert places["client"] is None


def test_without_a_table_calls_go_by_their_client(config: Write) -> None:
    """As ever."""
    assert isinstance(Stack.from_config(config("")).transport, OpenAITransport)


# Offered by plugins ------------------------------------------------------------------------------------------------


PLUGIN = """
    from llmstack import hookimpl
    from tests.plugins.test_config_transport import Acme

    class AcmePlugin:
        name = "acme-plugin"

        @hookimpl
        def llmstack_transports(self):
            return {"acme": Acme, "acme-home": lambda **more: Acme(region="home", **more)}
"""
"""A plugin of a third party's, which offers its transport."""


class Acme:
    """That transport."""

    name = "acme"

    def __init__(self, *, region: str, size: int = 1, inner: Transport | None = None) -> None:
        self.region, self.size, self.inner = region, size, inner

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        yield from ()
        return Reply({"id": self.region, "object": "chat.completion", "choices": [], "created": 1, "model": "m"})


def test_a_plugin_offers_a_transport(config: Write, install: Install) -> None:
    """By the hook; its options are checked as those of the built-in ones."""
    install("acme-plugins", PLUGIN, acme__plugin=":AcmePlugin")
    text = (
        'plugins = ["acme-plugin"]\n[transport]\nuse = "acme"\nregion = "eu"\nsize = "3"\ninner = { use = "acme-home" }'
    )
    transport = Stack.from_config(config(text)).transport
    assert isinstance(transport, Acme)
    assert (transport.region, transport.size) == ("eu", 3)
    assert isinstance(transport.inner, Acme)
    assert transport.inner.region == "home"
    with OpenAI(api_key=KEY, stack=Stack.from_config(config(text))) as client:
        assert client.chat.completions.create(**chat()).id == "eu"


# Mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('transport = "openai"', r'\[transport\] must be a table, such as \{ use = "openai" \}'),
        (
            "[transport]\napi_key = 'x'",
            r"\[transport\] needs `use`, the name of a transport: azure, chat, openai, responses",
        ),
        ('[transport]\nuse = "asure"', r"\[transport\] use: there is no transport 'asure'; did you mean 'azure'\?"),
        ('[transport]\nuse = "xyz"', r"use: there is no transport 'xyz'; there are: azure, chat, openai, responses"),
        (
            '[transport]\nuse = "openai"\nbase_ulr = "x"',
            r"\[transport\] has no option 'base_ulr'; did you mean 'base_url'\?",
        ),
        (
            '[transport]\nuse = "openai"\napi_key = "env:MY_KEY"\ntimeout = []',
            "timeout must be a duration: .* or a table",
        ),
        (
            '[transport]\nuse = "openai"\napi_key = "env:MY_KEY"\nhttp_client = "x"',
            r"\[transport\] http_client cannot be given in a file: it takes an object of the program's",
        ),
        ('[transport]\nuse = "openai"\ntimeout = 3', r"\[transport\]: .*needs a key: give it api_key="),
        ('[transport]\nuse = "azure"\napi = "v3"', r'\[transport\] api must be "deployments" or "v1", not "v3"'),
        (
            '[transport]\nuse = "openai"\napi_key = "env:NOT_SET"',
            r'\[transport\] api_key = "env:NOT_SET": the environment variable NOT_SET is not set',
        ),
        ('[transport]\nuse = "chat"\ninner = "openai"', r"\[transport\.inner\] must be a table"),
        (
            '[transport]\nuse = "chat"\ninner = { use = "opena" }',
            r"\[transport\.inner\] use: there is no transport 'opena'; did you mean 'openai'\?",
        ),
        ('[transport]\nuse = "chat"\nlossy = "no"', r'\[transport\] lossy must be "refuse" or "warn", not "no"'),
        ('[transport]\nuse = "chat"\nresponses = "x"', r"\[transport\] responses cannot be given in a file"),
        ('transports = "x"', r"`transports` must be tables by name, \[transports\.NAME\]"),
        ('[transports]\nprod = "azure"', r"\[transports\.prod\] must be a table"),
        ('[transports.prod]\nuse = "nope"', r"\[transports\.prod\] use: there is no transport 'nope'"),
        ('[transprot]\nuse = "openai"', r"table \[transprot\] belongs to no active plugin; did you mean 'transport'\?"),
    ],
)
def test_a_mistake_names_file_key_and_what_to_write(config: Write, text: str, message: str) -> None:
    """Before any call."""
    # A key without a table must stand before the tables.
    path = config(f'plugins = ["retry"]\n{text}')
    with pytest.raises(ConfigError, match=message) as caught:
        Stack.from_config(path)
    assert str(path) in str(caught.value)


def test_no_error_quotes_what_a_reference_leads_to(config: Write) -> None:
    """Where it does not fit, either."""
    for said in ('timeout = "env:MY_KEY"', 'default_headers = "env:MY_KEY"', 'base_url = "env:MY_KEY"'):
        with pytest.raises(OptionError) as caught:
            Stack.from_config(config(f'[transport]\nuse = "openai"\napi_key = "env:MY_KEY"\n{said}'))
        assert KEY not in str(caught.value)
    assert mask(KEY) == "***"


def test_plugins_take_references_too(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any text of any option."""
    monkeypatch.setenv("ATTEMPTS", "7")
    stack = Stack.from_config(config('plugins = ["retry"]\n[retry]\nattempts = "env:ATTEMPTS"'))
    assert stack.plugins["retry"].attempts == 7
