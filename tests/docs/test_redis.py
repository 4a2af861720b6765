"""The page about Redis names everything there is."""

import re
from pathlib import Path

import pytest

from llmstack_redis import SCHEMES, settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "redis.md").read_text()


@pytest.mark.parametrize("option", sorted(settings.OPTIONS))
def test_every_option_has_a_row(option):
    """With its default."""
    assert re.search(rf"^\| `{option}` \| .+ \| .+ \|$", PAGE, re.MULTILINE)


def test_there_is_no_row_too_many():
    """What is documented exists."""
    table = PAGE[PAGE.index("| option |") : PAGE.index("## What it keeps")]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(settings.OPTIONS)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_is_named(scheme):
    """In the table of URLs."""
    assert f"{scheme}://" in PAGE
