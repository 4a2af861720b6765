"""What the provider says is left of its rate limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Allowance", "allowance"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a rate limit; it fills up evenly until it is whole again.

    Attributes:
        share: What was left, 0 to 1.
        at: When that was, seconds of the clock.
        whole_at: When it is whole again.
    """

    share: float
    at: float
    whole_at: float

    def left(self, now: float) -> float:
        """The share that is left now."""
        if now >= self.whole_at:
            return 1.0
        return self.share + (1.0 - self.share) * max(0.0, now - self.at) / (self.whole_at - self.at)


_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_UNTOLD: Final = 60.0
"""Seconds until a limit is taken for whole where the provider does not say: OpenAI and Azure count by the minute."""


def allowance(
    headers: Mapping[str, str], now: float, largest: Mapping[str, float]
) -> tuple[Allowance | None, dict[str, float]]:
    """Read ``x-ratelimit-*`` headers.

    Args:
        headers: Of an answer, names in lower case.
        now: Seconds of the clock.
        largest: The largest remainders seen so far, by kind: they stand for a limit that is not told.

    Returns:
        What is left of the scarcest limit, None if nothing is told; and the largest remainders now.

    Source: https://platform.openai.com/docs/guides/rate-limits, "Rate limits in headers".
    """
    found: list[Allowance] = []
    most = dict(largest)
    for kind in ("requests", "tokens"):
        remaining = _number(headers.get(f"x-ratelimit-remaining-{kind}"))
        if remaining is None:
            continue
        most[kind] = max(remaining, most.get(kind, 0.0))
        limit = _number(headers.get(f"x-ratelimit-limit-{kind}")) or most[kind]
        share = min(1.0, remaining / limit) if limit > 0 else 0.0
        reset = _duration(headers.get(f"x-ratelimit-reset-{kind}"))
        found.append(Allowance(share, now, now + (_UNTOLD if reset is None else reset)))
    return min(found, key=lambda each: each.share, default=None), most


def _number(text: str | None) -> float | None:
    try:
        number = None if text is None else float(text)
    except ValueError:
        return None
    return None if number is None or not 0 <= number < math.inf else number


def _duration(text: str | None) -> float | None:
    """Seconds of ``"6m0s"``, ``"20ms"`` or ``"17"``."""
    if text is None:
        return None
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return _number(text)
