"""Measures in words: times and tokens."""

from __future__ import annotations

from llmstack import Usage


def duration(seconds: float) -> str:
    """A time with as many digits as mean something."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    digits = next((digits for digits, least in ((0, 0.01), (1, 0.001)) if seconds >= least), 2)
    return f"{seconds * 1e3:.{digits}f} ms"


def tokens(usage: Usage) -> str:
    """A usage in words."""
    return f"{usage.input_tokens} tokens in, {usage.output_tokens} out"
