"""Finding: what a check has found out about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "bad"]
"""``ok``: as it must be · ``note``: it works, but look at it · ``bad``: it will not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found out.

    Attributes:
        verdict: How it is.
        what: What was looked at: ``"config"``, ``"plugin"``, ``"store"``, ``"key"`` or ``"price"``.
        said: What was found, for people; if it is bad, what to change.
    """

    verdict: Verdict
    what: str
    said: str
