"""What holds for all built-in plugins."""

import re
from pathlib import Path

import llmstack.middleware

_FOLDER = Path(llmstack.middleware.__file__).parent
_PRIVATE = re.compile(r"^\s*(?:from|import)\s+llmstack\._\w+", re.MULTILINE)


def test_built_in_plugins_use_nothing_that_a_third_party_could_not() -> None:
    """They import from llmstack's public modules, and each from its own folder."""
    found = {file.name: _PRIVATE.findall(file.read_text("utf-8")) for file in _FOLDER.rglob("*.py")}
    assert len(found) > 10
    assert {name: private for name, private in found.items() if private} == {}
