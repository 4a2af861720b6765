"""Profiles: tables that go before the others."""

from __future__ import annotations

import pytest

from llmstack import Stack
from llmstack._plugins.config import read_config
from llmstack.errors import ConfigError
from tests.plugins.conftest import Write

TEXT = """\
plugins = ["cache", "retry"]
[cache]
ttl = "1h"
[retry]
attempts = 3
breaker = { window = 10, open_for = 20 }
[transport]
use = "azure"
endpoint = "https://example.openai.azure.com"
api = "v1"
api_key = "env:AZURE"

[profile.prod]
plugins = ["retry"]
retry.attempts = 5
retry.breaker.window = "1m"

[profile.local.transport]
use = "openai"
base_url = "http://localhost:8000/v1"
api_key = "env:AZURE"

[profile.canary.transport]
endpoint = "https://canary.openai.azure.com"
"""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE", "sk-test-not-a-key")


def test_a_profile_goes_before_the_rest(write: Write) -> None:
    """Table by table and key by key; lists are replaced."""
    path = write(TEXT)
    plain, prod = Stack.from_config(path), Stack.from_config(path, profile="prod")
    assert (list(plain.plugins), list(prod.plugins)) == (["cache", "retry"], ["retry"])
    assert (plain.plugins["retry"].attempts, prod.plugins["retry"].attempts) == (3, 5)
    breaker = prod.plugins["retry"].breaker
    assert (breaker.window, breaker.open_for) == (60, 20)
    assert read_config(path).profiles == ("prod", "local", "canary")


def test_the_environment_chooses_if_the_program_does_not(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """``LLMSTACK_PROFILE``; an empty one is none."""
    path = write(TEXT)
    monkeypatch.setenv("LLMSTACK_PROFILE", "prod")
    assert list(Stack.from_config(path).plugins) == ["retry"]
    assert list(Stack.from_config(path, profile="local").plugins) == ["cache", "retry"]
    monkeypatch.setenv("LLMSTACK_PROFILE", "")
    assert list(Stack.from_config(path).plugins) == ["cache", "retry"]


def test_a_transport_of_another_kind_replaces_the_whole(write: Write) -> None:
    """The options of the one mean nothing to the other; within one kind they are merged."""
    path = write(TEXT)
    local, canary = (Stack.from_config(path, profile=name).transport for name in ("local", "canary"))
    assert repr(local) == "OpenAITransport('http://localhost:8000/v1/')"
    assert repr(canary) == "AzureTransport('https://canary.openai.azure.com/openai/v1/')"


def test_a_table_may_wait_for_a_profile_that_wants_it(write: Write) -> None:
    """It is no mistake."""
    path = write('plugins = []\n[cache]\nttl = 5\n[profile.prod]\nplugins = ["cache"]\n[profile.all]\nplugins = "auto"')
    assert list(Stack.from_config(path).plugins) == []
    assert list(Stack.from_config(path, profile="prod").plugins) == ["cache"]


@pytest.mark.parametrize(
    ("text", "profile", "told"),
    [
        (TEXT, "prd", "llmstack.toml has no profile 'prd'; did you mean 'prod'?"),
        (TEXT, "xyz", "llmstack.toml has no profile 'xyz'; there are: prod, local, canary"),
        ("plugins = []", "prod", "llmstack.toml has no profile 'prod'; there are none: write [profile.NAME] tables"),
        ('plugins = []\nprofile = "x"', "x", "llmstack.toml:2: `profile` must be tables by name, [profile.NAME]"),
        (
            "plugins = []\n[profile.a.profile.b]\nplugins = []",
            "a",
            "llmstack.toml:2: [profile.a] cannot have profiles of its own",
        ),
        (
            f"{TEXT}\n[profile.wrong.retry]\nattempts = 'many'",
            "wrong",
            "llmstack.toml:27: [retry] attempts must be a whole number, not \"many\" [plugin 'retry']",
        ),
        (
            f"{TEXT}\n[profile.wrong.retry]\nattempts = 4\n[profile.wrong.cache]\ntll = 1",
            "wrong",
            "llmstack.toml:29: [cache] has no option 'tll'; did you mean 'ttl'? [plugin 'cache']",
        ),
    ],
)
def test_what_its_user_is_told(write: Write, text: str, profile: str, told: str) -> None:
    """Of a mistake in a profile, the line there."""
    with pytest.raises(ConfigError) as caught:
        Stack.from_config(write(text), profile=profile)
    assert str(caught.value) == told


def test_a_profile_of_the_environment_that_is_not_there(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says who named it: nobody should run with other settings than he thinks."""
    monkeypatch.setenv("LLMSTACK_PROFILE", "prd")
    with pytest.raises(ConfigError) as caught:
        Stack.from_config(write(TEXT))
    assert str(caught.value) == ("llmstack.toml has no profile 'prd' (named by LLMSTACK_PROFILE); did you mean 'prod'?")
