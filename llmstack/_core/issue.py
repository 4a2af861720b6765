"""Issue: one thing that is wrong with a call or an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["block", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One thing that is wrong, said without quoting content. It pickles.

    Attributes:
        path: Where, such as ``"messages[3].tool_call_id"``; empty for the whole call.
        message: What is wrong, and where it helps what to change. No text of the customer's.
        rule: Which rule says so, such as ``"shape"`` or ``"models"``.
        severity: ``"block"`` refuses the call, ``"warn"`` is only told to observers.
    """

    path: str
    message: str
    rule: str = ""
    severity: Severity = "block"

    def __str__(self) -> str:
        """As an error message lists it."""
        return f"{self.path}: {self.message}" if self.path else self.message
