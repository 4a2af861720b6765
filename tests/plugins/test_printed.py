"""A stack printed as the config file that describes it."""

from __future__ import annotations

import importlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tenacity

from llmstack import Configurable, Stack, hookimpl
from llmstack.config import to_toml
from llmstack.errors import ConfigError
from llmstack.middleware import Budget, Cache, CircuitBreaker, Logging, Moderation, Retry, Sentry, Validation
from llmstack.middleware.budget import Limit, Window
from llmstack.prices import ModelPrice
from llmstack.testing import Recorder, ScriptedTransport
from llmstack.transports import AzureTransport, ChatTransport, OpenAITransport, ResponsesTransport
from tests.plugins.conftest import ACME, Install, Write

KEY = "printed-not-a-key"
AZURE = "https://example.openai.azure.com"


def again(text: str) -> Stack:
    """The stack of a text."""
    path = Path("again.toml")
    path.write_text(text)
    path.chmod(0o644)
    return Stack.from_config(path)


def test_all_of_it(write: Write) -> None:
    """Only what is not the default; in the order of the stack."""
    stack = Stack(
        [
            Validation(models=["gpt-5*"], tenants={"acme": {"models": ["o3"]}}),
            Moderation(blocked_terms=('a "quoted" term', "über"), thresholds={"violence": 0.8}),
            Cache(60, store="sqlite:///llm.db", max_bytes=5),
            Budget(["$5/day per team", Limit(Decimal("0.5"), window=Window("hour"), per=("user",))], alerts=()),
            Retry(5, deadline=20, budget=None, breaker=CircuitBreaker(window=10)),
            Logging(sample=0.5, content=None),
            Sentry(),
        ],
        transport=ChatTransport(AzureTransport(endpoint=AZURE, api="v1", api_key=KEY, timeout=5), lossy="warn"),
    )
    assert to_toml(stack) == (
        f"""plugins = ["validation", "moderation", "cache", "budget", "retry", "logging", "sentry"]

[validation]
models = ["gpt-5*"]
tenants = {{ acme = {{ models = ["o3"] }} }}

[moderation]
thresholds = {{ violence = 0.8 }}
blocked_terms = ["a \\"quoted\\" term", "über"]

[cache]
ttl = 60
store = "sqlite:///llm.db"
max_bytes = 5

[budget]
limits = ["$5/day per team", "$0.5/hour per user"]
alerts = []

[retry]
attempts = 5
deadline = 20
budget = false
breaker = {{ window = 10 }}

[logging]
sample = 0.5

[transport]
use = "chat"
lossy = "warn"

[transport.inner]
use = "azure"
endpoint = "{AZURE}"
api = "v1"
# api_key is a secret and not printed. Say where it is: api_key = "env:NAME"
timeout = 5
"""
    )


@pytest.mark.parametrize(
    "stack",
    [
        Stack(),
        Stack.default(),
        Stack([Cache(store="memory://", ttl=0.5), Retry(attempts=2, strict=True)]),
        Stack([Budget(prices={"a*": ModelPrice(input=Decimal("0.1")), "b": {"output": "2"}}, lease=60)]),
        Stack([], transport=ResponsesTransport(lossy="warn")),
        Stack([Retry()], transport=ChatTransport(OpenAITransport())),
        Stack([Retry()], transports={"chat": ChatTransport(OpenAITransport()), "a b": ResponsesTransport()}),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("write")
def test_read_back_it_is_the_same(stack: Stack) -> None:
    """And printed again, too."""
    text = to_toml(stack)
    read = again(text)
    assert to_toml(read) == text
    assert {name: type(plugin) for name, plugin in read.plugins.items()} == {
        name: type(plugin) for name, plugin in stack.plugins.items()
    }
    assert type(read.transport) is type(stack.transport)


def test_a_reference_is_printed_as_it_was_written(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what a config gave is not lost; and what a variable says in its place, by the variable's name."""
    monkeypatch.setenv("A_KEY", KEY)
    text = (
        'plugins = ["cache", "retry"]\n\n[cache]\nttl = "1h"\nstore = "env:A_STORE"\n\n[transport]\nuse = "azure"\n'
        f'endpoint = "{AZURE}"\napi = "v1"\ndefault_headers = {{ x-auth = "env:A_KEY" }}\napi_key = "env:A_KEY"\n'
    )
    monkeypatch.setenv("A_STORE", "memory://")
    assert to_toml(Stack.from_config(write(text))) == text
    monkeypatch.setenv("LLMSTACK_TRANSPORT__API_KEY", KEY)
    monkeypatch.setenv("LLMSTACK_RETRY__ATTEMPTS", "7")
    monkeypatch.setenv("LLMSTACK_CACHE__TTL", "2h")
    printed = to_toml(Stack.from_config(write(text)))
    assert 'api_key = "env:LLMSTACK_TRANSPORT__API_KEY"\n' in printed
    assert "[retry]\nattempts = 7\n" in printed
    assert 'ttl = "2h"\n' in printed
    assert to_toml(again(printed)) == printed


def test_no_secret_is_printed(write: Write) -> None:
    """By its name, its looks, or because it is known as one. The table says what is missing."""
    for transport in (
        OpenAITransport(api_key=KEY),
        OpenAITransport(api_key="env-not-a-key", default_headers={"x-api-key": KEY}),
        OpenAITransport(api_key="x", base_url=f"https://user:{KEY}@example.com/v1"),
        OpenAITransport(api_key=KEY, organization=KEY),
    ):
        printed = to_toml(Stack(transport=transport))
        assert "not-a-key" not in printed
        assert "is a secret and not printed" in printed
    printed = to_toml(Stack([Cache(store=f"redis://:{KEY}@example.com/0")]))
    assert printed.endswith('[cache]\n# store is a secret and not printed. Say where it is: store = "env:NAME"\n')


def test_plugins_of_others(write: Write, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that inherits `Configurable`, one that a config made, and those without options."""
    install("acme-plugins", ACME, acme=":Acme")
    install("timing-plugins", "def timing(call, next):\n    return (yield from next(call))", timing=":timing")
    acme, timing = importlib.import_module("acme_plugins"), importlib.import_module("timing_plugins")
    from_file = Stack.from_config(write('plugins = ["timing", "acme"]\n[acme]\nsize = 4'))
    expected = 'plugins = ["timing", "acme"]\n\n[acme]\nsize = 4\n'
    assert to_toml(from_file) == expected
    with pytest.raises(ConfigError) as caught:
        to_toml(Stack([timing.timing, acme.Acme(size=4)]))
    assert str(caught.value) == (
        "no config file can say what this stack is:\n"
        "  plugin 'acme' does not tell its options: its class should inherit llmstack.Configurable"
    )
    telling = type("Acme", (Configurable, acme.Acme), {"__init__": acme.Acme.__init__})
    monkeypatch.setattr(acme, "Acme", telling)
    assert to_toml(Stack([timing.timing, acme.Acme(size=4)])) == expected


class Mine(Retry):
    """A layer of the program's own under a known name."""


class Audit:
    """A layer of the program's own."""

    @hookimpl
    def llmstack_event(self, event: Any) -> None:
        """Hear."""


def test_what_no_file_can_say_is_told_as_a_whole() -> None:
    """Not half a config that would make another stack."""
    stack = Stack(
        [
            Logging(redact=str.upper),
            Retry(wait=tenacity.wait_fixed(1)),
            Cache(when=lambda call: True, tenant="env:TENANT"),
            Audit(),
        ],
        transport=ScriptedTransport([]),
    )
    with pytest.raises(ConfigError) as caught:
        to_toml(stack)
    lines = str(caught.value).splitlines()
    assert lines[:6] == [
        "no config file can say what this stack is:",
        (
            "  its plugins stand in the order logging, retry, cache, audit, but a config's stand in the order that "
            "they declare: audit, cache, retry, logging"
        ),
        "  plugin 'logging': redact is an object of the program's (method_descriptor), which no file can say",
        "  plugin 'retry': wait is an object of the program's (wait_fixed), which no file can say",
        "  plugin 'cache': when is an object of the program's (function), which no file can say",
        lines[5],
    ]
    assert lines[5].startswith("  plugin 'audit': no installed package offers a plugin named 'audit'; available: ")
    assert lines[6:] == ["  the transport is a ScriptedTransport, which neither llmstack nor one of the plugins offers"]


@pytest.mark.parametrize(
    ("stack", "told"),
    [
        (Stack([Mine()]), "plugin 'retry' is a Mine; in a config it is a Retry"),
        (
            Stack([Retry(), Retry()]),
            "plugin 'retry#2': no installed package offers a plugin named 'retry#2'; did you mean 'retry'?",
        ),
        (Stack([Recorder()]), "plugin 'recorder': no installed package offers a plugin named 'recorder'; available: "),
        (Stack([Cache(tenant="env:TENANT")]), "plugin 'cache': tenant would be read as a reference, and is a text"),
    ],
)
def test_what_else_no_file_can_say(stack: Stack, told: str) -> None:
    """Each with its reason."""
    with pytest.raises(ConfigError) as caught:
        to_toml(stack)
    assert str(caught.value).startswith(f"no config file can say what this stack is:\n  {told}")
