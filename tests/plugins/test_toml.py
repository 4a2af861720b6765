"""Writing TOML, and finding lines in it."""

from __future__ import annotations

import math
import tomllib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack._plugins.line import lines_of
from llmstack._plugins.toml import key, literal

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = (
    TEXTS
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.times()
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_is_written_is_read_back(table: dict[str, Any]) -> None:
    """Whatever the keys and texts hold."""
    text = "".join(f"{key(name)} = {literal(value)}\n" for name, value in table.items())
    assert tomllib.loads(text) == table


def test_kinds_of_its_own() -> None:
    """Decimals are texts, so that nothing is lost; what TOML lacks is refused."""
    assert literal(Decimal("0.10")) == '"0.10"'
    assert literal(("a", 1)) == '["a", 1]'
    assert math.isnan(tomllib.loads(f"x = {literal(math.nan)}")["x"])
    assert [literal(v) for v in (date(2026, 1, 2), time(3, 4), datetime(2026, 1, 2, tzinfo=UTC))] == [
        "2026-01-02", "03:04:00", "2026-01-02T00:00:00+00:00",
    ]  # fmt: skip
    for value in (None, object(), len):
        with pytest.raises(TypeError, match="TOML has no value for a "):
            literal(value)


TEXT = '''\
# a comment with a [table] = in it
plugins = [
    "retry",  # with = signs
    "[cache]",
]

[retry]
attempts = 3
"quoted key" = """
[not.a.table]
not_a_key = 1
"""
after = 2
budget = { capacity = 5, inner = { cost = 1 } }
breaker.window = 3

[ "a.b" . c ] # header
d = 1

[[many]]
one = 1
[[many]]
two = 2
'''


def test_the_line_of_each_key() -> None:
    """Texts over several lines, inline tables, dotted and quoted keys, lists of tables."""
    assert lines_of(TEXT) == {
        ("plugins",): 2,
        ("retry",): 7,
        ("retry", "attempts"): 8,
        ("retry", "quoted key"): 9,
        ("retry", "after"): 13,
        ("retry", "budget"): 14,
        ("retry", "budget", "capacity"): 14,
        ("retry", "budget", "inner"): 14,
        ("retry", "budget", "inner", "cost"): 14,
        ("retry", "breaker"): 15,
        ("retry", "breaker", "window"): 15,
        ("a.b",): 17,
        ("a.b", "c"): 17,
        ("a.b", "c", "d"): 18,
        ("many",): 20,
        ("many", "one"): 21,
        ("many", "two"): 23,
    }
    assert lines_of(TEXT.replace("\n", "\r\n")) == lines_of(TEXT)


@given(st.dictionaries(TEXTS, st.dictionaries(TEXTS, VALUES, max_size=4), max_size=4), st.integers(0, 3))
def test_every_key_has_its_line(tables: dict[str, dict[str, Any]], blank: int) -> None:
    """Each stands where it was written."""
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for name, table in tables.items():
        lines += [""] * blank + [f"[{key(name)}]"]
        expected[(name,)] = len(lines)
        for option, value in table.items():
            lines.append(f"{key(option)} = {literal(value)}")
            expected[name, option] = len(lines)
    found = lines_of("\n".join(lines))
    assert {path: line for path, line in found.items() if len(path) <= 2} == expected
