"""Seconds and bytes, as people write them."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from llmstack import Bytes, Seconds

SECONDS, BYTES = TypeAdapter[float](Seconds), TypeAdapter[int](Bytes)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25), ("90s", 90), ("15m", 900), ("15 min", 900), ("1h 30m", 5400), ("1h30m", 5400), ("1.5h", 5400),
        ("7d", 604_800), ("2w", 1_209_600), (" 5 s ", 5), ("5", 5), ("0.1s", 0.1), (5, 5), (0.5, 0.5), (-1, -1),
    ],
)  # fmt: skip
def test_durations(text: str | float, seconds: float) -> None:
    """Parts add up."""
    assert SECONDS.validate_python(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512 B", 512), ("64 MB", 64_000_000), ("64MiB", 67_108_864), ("1.5 gb", 1_500_000_000), ("1 TiB", 2**40),
        ("10 kB", 10_000), ("7", 7), (7, 7),
    ],
)  # fmt: skip
def test_sizes(text: str | int, size: int) -> None:
    """Powers of 1,000, and with an i of 1,024."""
    read = BYTES.validate_python(text)
    assert (read, type(read)) == (size, int)


@pytest.mark.parametrize(
    "wrong", ["", "h", "1 hour", "1H", "1h 30", "-1h", "1h-30m", "1e3s", "\u0661s", True, math.inf, math.nan, [], {}]
)
def test_no_durations(wrong: Any) -> None:
    """The error shows how they are written. Capital letters are other units elsewhere."""
    with pytest.raises(ValidationError, match=r'must be a duration: a number of seconds, or such as "250ms", "90s"'):
        SECONDS.validate_python(wrong)


@pytest.mark.parametrize("wrong", ["", "MB", "1 MB 2 kB", "1 megabyte", "-1 MB", False])
def test_no_sizes(wrong: Any) -> None:
    """One part, and a whole number."""
    with pytest.raises(ValidationError, match=r'must be a size: a whole number of bytes, or such as "512 KiB"'):
        BYTES.validate_python(wrong)
    with pytest.raises(ValidationError, match="valid integer"):
        BYTES.validate_python("0.5 B")


def test_in_models_of_anybodys() -> None:
    """They are pydantic's own `Annotated`."""

    class Model(BaseModel):
        ttl: Seconds | None = None
        size: Bytes = 0

    assert Model.model_validate({"ttl": "1m", "size": "1 kB"}) == Model(ttl=60, size=1000)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    """It is a number or a `ValidationError`, soon."""
    for adapter in (SECONDS, BYTES):
        try:
            number = adapter.validate_python(text)
        except ValidationError:
            continue
        assert math.isfinite(number)


@given(st.from_regex(r"\A[0-9]{1,4}(\.[0-9]{1,3})? ?(ms|s|m|min|h|d|w)\Z"))
def test_the_json_schema_takes_what_is_read(text: str) -> None:
    """An editor marks nothing that is right."""
    schema = SECONDS.json_schema()
    assert math.isfinite(SECONDS.validate_python(text))
    assert re.search(schema["anyOf"][1]["pattern"], text)
    assert re.search(BYTES.json_schema()["anyOf"][1]["pattern"], "1.5 GiB")
    assert not re.search(schema["anyOf"][1]["pattern"], "1 fortnight")
