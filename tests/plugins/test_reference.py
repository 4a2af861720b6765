"""References to secrets in config files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmstack._plugins.reference import resolved
from llmstack.errors import ConfigError
from llmstack.secrets import mask


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "llmstack.toml"


def follow(value: Any, config: Path) -> Any:
    return resolved(value, where="llmstack.toml: [transport] api_key", config=config)


def test_a_variable(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its value is known as a secret from then on."""
    monkeypatch.setenv("A_KEY", "variable-not-a-key")
    assert follow("env:A_KEY", config) == "variable-not-a-key"
    assert mask("it is variable-not-a-key") == "it is ***"


def test_a_file(config: Path) -> None:
    """Beside the config file, or anywhere; white space around it is the editor's."""
    (config.parent / "key").write_text("file-not-a-key\n")
    for reference in ("file:key", f"file:{config.parent / 'key'}"):
        assert follow(reference, config) == "file-not-a-key"
    assert mask("file-not-a-key") == "***"


def test_at_any_depth(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tables and lists; what is no reference stays as it is."""
    monkeypatch.setenv("A_KEY", "depth-not-a-key")
    said = {"headers": {"x-key": "env:A_KEY", "x-plain": "environment: x"}, "many": ["env:A_KEY", 1, True], "n": 2.5}
    assert follow(said, config) == {
        "headers": {"x-key": "depth-not-a-key", "x-plain": "environment: x"},
        "many": ["depth-not-a-key", 1, True],
        "n": 2.5,
    }
    assert follow("redis://localhost/0", config) == "redis://localhost/0"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NOT_THERE", 'api_key = "env:NOT_THERE": the environment variable NOT_THERE is not set, or is empty'),
        ("env:EMPTY", "the environment variable EMPTY is not set, or is empty"),
        ("env:", "the environment variable without a name is not set"),
        ("file:missing", "cannot read .*missing: No such file or directory"),
        ("file:.", "cannot read .*: Is a directory"),
        ("file:empty", "empty is empty"),
        ("file:binary", "binary is no text in UTF-8"),
        ("file:large", "large holds more than a secret"),
    ],
)
def test_one_that_leads_nowhere(reference: str, said: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names file, table, key and what was looked for."""
    monkeypatch.setenv("EMPTY", "")
    (config.parent / "empty").write_text(" \n")
    (config.parent / "binary").write_bytes(b"\xff\xfe\x00not-a-key")
    (config.parent / "large").write_text("not-a-key" * 10_000)
    with pytest.raises(ConfigError, match=said) as caught:
        follow(reference, config)
    assert str(caught.value).startswith("llmstack.toml: [transport] api_key")
    assert "not-a-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://example.openai.azure.com/openai/v1", "https://example.openai.azure.com/openai/v1"),
        ("redis+unix://localhost:6379/0", "redis+unix://localhost:6379/0"),
        ("https://user:password@example.com", "***"),
        ("https://example.com/services/T0000/B0000/longer-than-a-path", "***"),
        ("https://example.com/?sig=abcdefgh", "***"),
        ("correct horse battery staple", "***"),
    ],
)
def test_an_address_is_no_secret(config: Path, monkeypatch: pytest.MonkeyPatch, text: str, shown: str) -> None:
    """Unless there is more in it than an address."""
    monkeypatch.setenv("A_PLACE", text)
    assert follow("env:A_PLACE", config) == text
    assert mask(text) == shown
