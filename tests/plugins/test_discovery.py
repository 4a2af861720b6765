"""Finding plugins: what installed packages offer, without importing it."""

from __future__ import annotations

import sys

import pytest

from llmstack._plugins.discovery import load
from llmstack.config import Available, discover
from llmstack.errors import ConfigError, PluginNotFoundError, RegistrationError
from tests.plugins.conftest import ACME, Install


def found(name: str) -> list[Available]:
    return [plugin for plugin in discover() if name in plugin.names]


def test_the_built_in_plugins_are_found_the_way_anybodys_are() -> None:
    """By entry points."""
    retry = found("retry")[0]
    assert (retry.package, retry.target) == ("llmstack-openai", "llmstack.middleware.retry:Retry")


def test_a_package_is_found_and_not_imported(install: Install) -> None:
    """What it says of itself is known all the same."""
    install("acme-plugins", ACME, acme=":Acme", urls={"Homepage": "https://example.com", "Documentation": "https://d"})
    assert found("acme") == [
        Available("acme", ("acme",), "acme_plugins:Acme", "acme-plugins", "1.2", documentation="https://d")
    ]
    assert found("acme")[0].origin == "acme-plugins 1.2"
    assert "acme_plugins" not in sys.modules


def test_names_that_mean_the_same_are_one_plugin(install: Install) -> None:
    """A store has one for each of its URL schemes."""
    install("acme-store", "name = 'acme'", acme="", acmes="", acme__unix="")
    assert [(plugin.name, plugin.names) for plugin in found("acme")] == [("acme", ("acme", "acmes", "acme-unix"))]


def test_loading_imports_that_plugin_only(install: Install) -> None:
    """One by one."""
    install("acme-plugins", ACME, acme=":Acme")
    install("other-plugins", "raise RuntimeError", other="")
    assert load("acme").__module__ == "acme_plugins"
    assert "other_plugins" not in sys.modules


def test_two_distributions_of_one_name(install: Install) -> None:
    """The error names both; other plugins do not suffer."""
    install("acme-plugins", ACME, acme=":Acme")
    install("acme-fork", ACME, version="0.9", acme=":Acme")
    with pytest.raises(RegistrationError) as caught:
        load("acme")
    told = "two packages offer a plugin named 'acme': {} and {}; uninstall one of them, or block 'acme'"
    both = "acme-fork 0.9", "acme-plugins 1.2"
    assert str(caught.value) in {told.format(*both), told.format(*reversed(both))}
    assert load("retry").__name__ == "Retry"
    assert not {"acme_plugins", "acme_fork"} & set(sys.modules)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise RuntimeError('not on this machine')", "RuntimeError: not on this machine"),
        ("raise SystemExit('usage: acme')", "SystemExit: usage: acme"),
        ("", "AttributeError: module 'acme_plugins' has no attribute 'Acme'"),
    ],
)
def test_a_broken_one_is_named(install: Install, code: str, why: str) -> None:
    """Plugin, distribution, version and reason."""
    install("acme-plugins", code, acme=":Acme")
    with pytest.raises(RegistrationError) as caught:
        load("acme")
    assert str(caught.value) == f"plugin 'acme' from acme-plugins 1.2 cannot be imported: {why} [plugin 'acme']"


def test_a_name_that_nobody_offers() -> None:
    """With a guess; without one, all that there are."""
    with pytest.raises(PluginNotFoundError) as caught:
        load("retri")
    assert str(caught.value) == "no installed package offers a plugin named 'retri'; did you mean 'retry'?"
    with pytest.raises(PluginNotFoundError, match=r"named 'xyz'; available: budget, cache, logging, "):
        load("xyz")


@pytest.mark.parametrize(
    ("variable", "names", "why"),
    [
        ("LLMSTACK_BLOCK", "other, acme", "is blocked by LLMSTACK_BLOCK"),
        ("LLMSTACK_BLOCK", "acmes", "is blocked by LLMSTACK_BLOCK"),
        ("LLMSTACK_PLUGINS", "retry cache", "is not among those that LLMSTACK_PLUGINS allows"),
    ],
)
def test_what_may_not_be_loaded_is_not_imported(
    install: Install, monkeypatch: pytest.MonkeyPatch, variable: str, names: str, why: str
) -> None:
    """Any of its names means the plugin."""
    install("acme-plugins", ACME, acme=":Acme", acmes=":Acme")
    monkeypatch.setenv(variable, names)
    assert found("acme")[0].refused == why
    with pytest.raises(ConfigError) as caught:
        load("acme")
    assert str(caught.value) == f"plugin 'acme' from acme-plugins 1.2 {why} [plugin 'acme']"
    assert "acme_plugins" not in sys.modules


def test_an_empty_variable_is_none(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty allow list would take all the guards away."""
    install("acme-plugins", ACME, acme=":Acme")
    monkeypatch.setenv("LLMSTACK_PLUGINS", " ")
    monkeypatch.setenv("LLMSTACK_BLOCK", "")
    assert load("acme").name == "acme"
