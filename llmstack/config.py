"""Config, for programs that show, check or write one: what the command line does, as functions.

    from llmstack.config import check, to_toml

    found = check("llmstack.toml")
    for error in found.errors:
        print(error)

`Stack.from_config` builds a stack of a file; the page docs/config.md tells what may stand in it.
"""

from __future__ import annotations

from llmstack._plugins.check import Checked, check
from llmstack._plugins.choice import Skipped
from llmstack._plugins.description import Described, describe
from llmstack._plugins.discovery import Available, discover
from llmstack._plugins.printed import to_toml
from llmstack._plugins.schema import schema

__all__ = ["Available", "Checked", "Described", "Skipped", "check", "describe", "discover", "schema", "to_toml"]
