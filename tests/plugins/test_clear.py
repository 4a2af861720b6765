"""Secrets in the clear: a config file has none."""

from __future__ import annotations

import sys
import types

import pytest

from llmstack import Stack
from llmstack._plugins.clear import holds_secret, names_one
from llmstack.errors import ConfigError
from llmstack.secrets import mask
from tests.plugins.conftest import Install, Write

KEY = "clear-not-a-key"
INSTEAD = 'is a secret in the clear; write where it is: "env:NAME", "file:PATH" or "keyring:SERVICE/USER"'

ACME = """
    from pydantic import SecretStr
    from llmstack import hookimpl

    class Acme:
        def __init__(self, *, webhook: SecretStr | None = None, smtp_password: str = "", label: str = "",
                     headers: dict[str, str] | None = None, max_tokens: int = 1, auth: str = "basic") -> None:
            self.webhook, self.smtp_password = webhook, smtp_password

        @hookimpl
        def llmstack_event(self, event):
            pass
"""


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f'smtp_password = "{KEY}"', "smtp_password"),
        (f'webhook = "{KEY}"', "webhook"),
        ('label = "sk-abcdef0123456789not-a-key"', "label"),
        (f'label = "redis://user:{KEY}@example.com/0"', "label"),
        (f'label = "https://example.com/?sig={KEY}"', "label"),
        (f'headers = {{ x-team = "a", Authorization = "Basic {KEY}" }}', "headers.Authorization"),
        (f'headers = {{ x-auth = "{KEY}" }}', "headers.x-auth"),
    ],
)
def test_a_secret_in_the_clear_is_refused(write: Write, install: Install, line: str, key: str) -> None:
    """By its name, its kind or its looks. It is not quoted."""
    install("acme-plugins", ACME, acme=":Acme")
    with pytest.raises(ConfigError) as caught:
        Stack.from_config(write(f'plugins = ["acme"]\n[acme]\n{line}'))
    assert str(caught.value) == f"llmstack.toml:3: [acme] {key} {INSTEAD} [plugin 'acme']"


def test_a_transports_key(write: Write) -> None:
    """In a table inside another one, too."""
    table = f'{{ use = "openai", api_key = "{KEY}" }}'
    for text, where in (
        (f"transport = {table}", "llmstack.toml:2: [transport] api_key"),
        (f'[transport]\nuse = "chat"\ninner = {table}', "llmstack.toml:4: [transport.inner] api_key"),
        (f"[transports]\n\nspare = {table}", "llmstack.toml:4: [transports.spare] api_key"),
    ):
        with pytest.raises(ConfigError) as caught:
            Stack.from_config(write(f"plugins = []\n{text}"))
        assert str(caught.value) == f"{where} {INSTEAD}"


def test_what_is_no_secret_passes(write: Write, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a reference look like one."""
    install("acme-plugins", ACME, acme=":Acme")
    monkeypatch.setenv("SMTP", KEY)
    text = (
        '[acme]\nauth = "digest"\nlabel = "https://example.com/a?b=c"\nmax_tokens = 5\nwebhook = "env:SMTP"\n'
        'smtp_password = "env:SMTP"\nheaders = { x-team = "a", authorization = "env:SMTP" }'
    )
    plugin = Stack.from_config(write(f'plugins = ["acme"]\n{text}')).plugins["acme"]
    assert (plugin.smtp_password, plugin.webhook.get_secret_value()) == (KEY, KEY)


@pytest.mark.parametrize("name", ["api_key", "apikey", "azure_ad_token", "PASSWORD", "db_password", "client_secret"])
def test_names_of_secrets(name: str) -> None:
    """As people call them."""
    assert names_one(name)


@pytest.mark.parametrize("name", ["max_output_tokens", "secrets", "cache_key", "keys", "tokens", "author", "auth"])
def test_names_of_other_things(name: str) -> None:
    """Which only look a little like them."""
    assert not names_one(name)


def test_an_address_that_cannot_be_read_holds_none() -> None:
    """It is for others to complain of."""
    assert not holds_secret("https://[::1")


# The keyring ------------------------------------------------------------------------------------------------------


class Keyring(types.ModuleType):
    """What we use of the package keyring: the real one asks the desktop."""

    def get_password(self, service: str, user: str) -> str | None:
        if service == "locked":
            raise OSError(f"locked, asked for {KEY}")
        return {("example.com/llm", "ann"): KEY}.get((service, user))


def from_keyring(write: Write, name: str) -> Stack:
    return Stack.from_config(write(f'plugins = []\n[transport]\nuse = "openai"\napi_key = "keyring:{name}"'))


def test_a_password_of_the_keyring(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known as a secret from then on. The user stands behind the last slash."""
    monkeypatch.setitem(sys.modules, "keyring", Keyring("keyring"))
    transport = from_keyring(write, "example.com/llm/ann").transport
    assert transport.given_options()["api_key"] == KEY  # type: ignore[attr-defined]
    assert mask(KEY) == "***"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("example.com/bob", "the keyring has no password of 'bob' for 'example.com'"),
        ("locked/ann", "the keyring cannot be read (OSError)"),
        ("ann", 'a password of the keyring is named by "keyring:SERVICE/USER"'),
    ],
)
def test_a_password_that_cannot_be_had(write: Write, monkeypatch: pytest.MonkeyPatch, name: str, why: str) -> None:
    """The error says what was asked for, nothing of what is there."""
    monkeypatch.setitem(sys.modules, "keyring", Keyring("keyring"))
    with pytest.raises(ConfigError) as caught:
        from_keyring(write, name)
    assert str(caught.value) == f'llmstack.toml:4: [transport] api_key = "keyring:{name}": {why}'


def test_without_the_package(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError) as caught:
        from_keyring(write, "example.com/ann")
    assert str(caught.value) == (
        'llmstack.toml:4: [transport] api_key = "keyring:example.com/ann": the package keyring is not installed; '
        "install it (pip install keyring), or use env:NAME"
    )
