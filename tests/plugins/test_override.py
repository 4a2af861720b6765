"""Overrides: environment variables that go before the file."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack import Stack
from llmstack._plugins.override import Override
from llmstack.errors import ConfigError
from llmstack.secrets import mask
from tests.plugins.conftest import Install, Write

KEY = "override-not-a-key"


def options(stack: Stack, name: str) -> Any:
    """The options that a plugin was given."""
    return dict(stack.plugins[name].given_options())


@pytest.mark.parametrize(
    ("variable", "text", "option", "value"),
    [
        ("LLMSTACK_BUDGET__ON_EXCEED", "warn", "on_exceed", "warn"),
        ("LLMSTACK_BUDGET__ON_EXCEED", '"warn"', "on_exceed", "warn"),
        ("LLMSTACK_BUDGET__STREAM_USAGE", "false", "stream_usage", False),
        ("LLMSTACK_BUDGET__LEASE", "5m", "lease", 300),
        ("LLMSTACK_BUDGET__LEASE", "60", "lease", 60),
        ("LLMSTACK_BUDGET__LIMITS", '["$5/day", "9 calls/24h"]', "limits", ["$5/day", "9 calls/24h"]),
        ("LLMSTACK_BUDGET__PRICES", '{ a = { input = "0.5" } }', "prices", {"a": {"input": "0.5"}}),
        ("LLMSTACK_BUDGET__PRICES__A__INPUT", '"0.5"', "prices", {"a": {"input": "0.5"}}),
    ],
)
def test_a_variable_says_an_option(
    write: Write, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, option: str, value: object
) -> None:
    """Table, two underscores, option; the value as in the file, or the bare text."""
    monkeypatch.setenv(variable, text)
    assert options(Stack.from_config(write('plugins = ["budget"]')), "budget") == {option: value}
    stack = Stack.from_config(write('plugins = ["budget"]\n[budget]\non_exceed = "block"\nzone = "UTC"'))
    assert options(stack, "budget") == {"on_exceed": "block", "zone": "UTC", option: value}


def test_the_text_itself_where_toml_would_make_something_else_of_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that looks like a date, a model that looks like a number."""
    monkeypatch.setenv("LLMSTACK_TRANSPORT__API_VERSION", "2024-10-21")
    monkeypatch.setenv("LLMSTACK_TRANSPORT__API_KEY", KEY)
    monkeypatch.setenv("LLMSTACK_MODERATION__MODEL", "4")
    path = write(
        'plugins = ["moderation"]\n[transport]\nuse = "azure"\nendpoint = "https://example.openai.azure.com"\n'
    )
    stack = Stack.from_config(path)
    assert options(stack, "moderation") == {"model": "4"}
    assert stack.transport.given_options()["api_version"] == "2024-10-21"  # type: ignore[attr-defined]
    assert mask(f"it is {KEY}") == "it is ***"


def test_a_variable_before_a_profile_before_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest word counts."""
    path = write('plugins = ["retry"]\n[retry]\nattempts = 2\n[profile.prod.retry]\nattempts = 3')
    assert Stack.from_config(path, profile="prod").plugins["retry"].attempts == 3
    monkeypatch.setenv("LLMSTACK_RETRY__ATTEMPTS", "4")
    assert Stack.from_config(path, profile="prod").plugins["retry"].attempts == 4


def test_inside_a_table(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two underscores more."""
    monkeypatch.setenv("LLMSTACK_RETRY__BREAKER__WINDOW", "1m")
    breaker = Stack.from_config(write('plugins = ["retry"]\n[retry]\nbreaker.open_for = 5')).plugins["retry"].breaker
    assert (breaker.window, breaker.open_for) == (60, 5)


def test_another_transport(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole is replaced, as by a profile."""
    monkeypatch.setenv("LLMSTACK_TRANSPORT__USE", "chat")
    stack = Stack.from_config(write('plugins = []\n[transport]\nuse = "azure"\nendpoint = "https://example.com"'))
    assert type(stack.transport).__name__ == "ChatTransport"
    assert type(Stack.from_config(write("plugins = []")).transport).__name__ == "ChatTransport"


def test_names_with_other_characters(write: Write, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """An underscore stands for them."""
    code = (
        "from llmstack import hookimpl\nclass Acme:\n    name = 'acme-one'\n    def __init__(self, *, size=1): "
        "self.size = size\n    @hookimpl\n    def llmstack_event(self, event): pass"
    )
    install("acme-plugins", code, acme__one=":Acme")
    monkeypatch.setenv("LLMSTACK_ACME_ONE__SIZE", "7")
    for text in ('plugins = ["acme-one"]', 'plugins = ["acme-one"]\n[acme-one]\nsize = 3'):
        assert Stack.from_config(write(text)).plugins["acme-one"].size == 7


def test_what_is_meant_for_other_programs_is_let_be(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many programs share an environment. What nobody could mean is a mistake."""
    path = write('plugins = ["budget"]')
    monkeypatch.setenv("LLMSTACK_RETRY__ATTEMPTS", "4")
    monkeypatch.setenv("LLMSTACK_SOMETHING", "else")
    assert options(Stack.from_config(path), "budget") == {}
    monkeypatch.setenv("LLMSTACK_BUDGTE__ON_EXCEED", "warn")
    with pytest.raises(ConfigError) as caught:
        Stack.from_config(path)
    assert str(caught.value) == (
        "LLMSTACK_BUDGTE__ON_EXCEED: there is no plugin 'budgte' to override; did you mean 'budget'?"
    )


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        (
            "LLMSTACK_BUDGET__ON_EXCED",
            "warn",
            "LLMSTACK_BUDGET__ON_EXCED: [budget] has no option 'on_exced'; did you mean 'on_exceed'? [plugin 'budget']",
        ),
        (
            "LLMSTACK_BUDGET__ON_EXCEED",
            "wran",
            (
                """LLMSTACK_BUDGET__ON_EXCEED: [budget] on_exceed must be "block", "warn" or "degrade", not "wran"; """
                """did you mean 'warn'? [plugin 'budget']"""
            ),
        ),
        (
            "LLMSTACK_BUDGET__LEASE",
            "soon\nvalue = 3",
            (
                "LLMSTACK_BUDGET__LEASE: [budget] lease must be a duration: a number of seconds, or such as "
                '"250ms", "90s", "15m", "1h 30m", "7d", not "soon\\nvalue = 3" [plugin \'budget\']'
            ),
        ),
        (
            "LLMSTACK_BUDGET__STORE",
            "env:NOT_SET",
            (
                'LLMSTACK_BUDGET__STORE: [budget] store = "env:NOT_SET": the environment variable NOT_SET is not set, '
                "or is empty"
            ),
        ),
        (
            "LLMSTACK_TRANSPORT__USE",
            "asure",
            "LLMSTACK_TRANSPORT__USE: [transport] use: there is no transport 'asure'; did you mean 'azure'?",
        ),
    ],
)
def test_a_mistake_names_the_variable(
    write: Write, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, told: str
) -> None:
    """Nobody looks for it in the file."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError) as caught:
        Stack.from_config(write('plugins = ["budget"]\n'))
    assert str(caught.value) == told


def test_no_repr_shows_what_a_variable_says() -> None:
    """It may be a key."""
    assert KEY not in repr(Override("LLMSTACK_TRANSPORT__API_KEY", KEY))
