"""The docs on configs tell everything, and what they show is what is printed."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import llmstack.config
from llmstack._plugins.settings import RESERVED
from llmstack.config import Available

ROOT = Path(__file__).resolve().parents[2]
CONFIG, PLUGINS = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("config", "plugins"))


@pytest.mark.parametrize("key", RESERVED)
def test_every_key_has_a_row(key: str) -> None:
    """With what it means."""
    assert re.search(rf"^\| `{key}` \| .+ \|$", CONFIG, re.MULTILINE)


def test_every_variable_has_a_row() -> None:
    """Whatever the code asks the environment for."""
    code = "".join(file.read_text() for file in (ROOT / "llmstack").rglob("*.py"))
    variables = set(re.findall(r'"(LLMSTACK_[A-Z]+)"', code))
    assert variables == {"LLMSTACK_CONFIG", "LLMSTACK_PROFILE", "LLMSTACK_PLUGINS", "LLMSTACK_BLOCK"}
    for variable in variables:
        assert re.search(rf"^\| `{variable}` \| .+ \|$", CONFIG, re.MULTILINE)


@pytest.mark.parametrize("name", llmstack.config.__all__)
def test_every_function_is_told_of(name: str) -> None:
    """And what it gives."""
    assert re.search(rf"`{name}[`(]", CONFIG)


@pytest.mark.parametrize("field", [*(field.name for field in dataclasses.fields(Available)), "origin"])
def test_every_field_of_what_is_found(field: str) -> None:
    """In the table."""
    assert re.search(rf"^\| .*`{field}`.* \| .+ \|$", PLUGINS, re.MULTILINE)


def test_what_is_shown_is_what_is_printed(tmp_path: Path) -> None:
    """Each block of text on the page is the output of the code before it."""
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", CONFIG, re.MULTILINE | re.DOTALL)
    program = "\n".join(text for kind, text in blocks if kind == "python")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LLMSTACK_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
        timeout=120,
    )
    shown = [line for kind, text in blocks if kind == "text" for line in text.splitlines() if line]
    assert [line for line in done.stdout.splitlines() if line] == shown


def test_the_example_is_a_config() -> None:
    """All of its tables are those of plugins that it names."""
    example = tomllib.loads(re.findall(r"^```toml\n(.*?)^```", CONFIG, re.MULTILINE | re.DOTALL)[0])
    assert set(example) <= {*RESERVED, *example["plugins"]}
