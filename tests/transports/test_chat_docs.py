"""The page about the chat transport names everything there is."""

import inspect
import re
from pathlib import Path

import pytest

from llmstack.transports import ChatTransport, MemoryResponses
from llmstack.transports._translation.responses_request import PASSED, REFUSED, TRANSLATED

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "transport-chat.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", inspect.signature(ChatTransport).parameters)
def test_every_option_has_a_row(option):
    """With its default."""
    assert re.search(rf"^\| `{option}` \| .+ \| .+ \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", sorted({*PASSED, *REFUSED, *TRANSLATED}))
def test_every_parameter_is_named(name):
    """In one of the tables."""
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert any(re.search(rf"`{name}\b", row) for row in rows)


def test_the_store_is_described():
    """Its bounds, with their defaults."""
    parameters = inspect.signature(MemoryResponses).parameters
    assert f"`max_bytes` of JSON ({parameters['max_bytes'].default // 2**20} MiB)" in PAGE
    assert f"`ttl` seconds ({parameters['ttl'].default:.0f})" in PAGE
