"""What goes wrong when plugins open what they need of a stack is told with their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmstack import Stack, hookimpl
from llmstack.errors import ConfigError, OptionError, RegistrationError
from llmstack.middleware import Budget, Cache
from llmstack.middleware.cache import Cache as CacheClass


class Opening:
    """A plugin that does something with the stack."""

    name = "opening"

    def __init__(self, attach: Any) -> None:
        self.attach = attach

    @hookimpl
    def llmstack_event(self, event: object) -> None:
        """Hear of nothing in particular."""


def test_a_plugin_that_fails_is_named() -> None:
    """Whatever it raises; its own error is the cause."""

    def attach(stack: Stack) -> None:
        raise KeyError("shelf")

    with pytest.raises(
        RegistrationError, match=r"plugin 'opening': attach\(stack\) failed with KeyError: 'shelf'"
    ) as got:
        Stack([Opening(attach)])
    assert got.value.plugin == "opening"
    assert isinstance(got.value.__cause__, KeyError)


def test_an_async_attach_is_refused() -> None:
    """Nobody would await it."""

    async def attach(stack: Stack) -> None:
        """Open something."""

    with pytest.raises(RegistrationError, match=r"plugin 'opening': attach\(stack\) is async"):
        Stack([Opening(attach)])


def test_a_store_that_nobody_offers_is_told_with_the_plugin_that_wants_it() -> None:
    """There may be several with a store."""
    with pytest.raises(OptionError, match="no plugin offers stores at nowhere://") as got:
        Stack([Budget(), Cache(store="nowhere://")])
    assert got.value.plugin == "cache"


def test_in_a_config_it_is_told_with_its_place(tmp_path: Path) -> None:
    """File, line and table."""
    config = tmp_path / "llmstack.toml"
    config.write_text(
        'plugins = ["budget", "cache"]\n\n[budget]\nlimits = []\n\n[cache]\nttl = 60\nstore = "nowhere://"\n'
    )
    with pytest.raises(OptionError, match=r"llmstack\.toml:\d: \[cache\].*no plugin offers stores at nowhere://"):
        Stack.from_config(config)


def test_a_plugin_of_a_config_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the file."""

    def attach(self: object, stack: Stack) -> None:
        raise OSError("no shelf")

    monkeypatch.setattr(CacheClass, "attach", attach)
    config = tmp_path / "llmstack.toml"
    config.write_text('plugins = ["cache"]\n')
    with pytest.raises(ConfigError, match=r"llmstack\.toml: plugin 'cache': attach\(stack\) failed with OSError"):
        Stack.from_config(config)


def test_stores_that_are_no_mapping_are_told_with_the_plugin_that_offers_them() -> None:
    """Not with the one that opens one of them."""

    class Wrong:
        name = "wrong"

        @hookimpl
        def llmstack_stores(self) -> Any:
            return ["shelf"]

    class Nothing:
        name = "nothing"

        @hookimpl
        def llmstack_stores(self) -> Any:
            return None

    assert list(Stack([Nothing(), Cache()]).plugins) == ["nothing", "cache"]
    with pytest.raises(RegistrationError, match="'wrong', hook llmstack_stores: it must return a mapping") as got:
        Stack([Wrong(), Cache(store="shelf://")])
    assert got.value.plugin == "wrong"
