"""Flaw: a rule that a plugin breaks, told so that its author can mend it."""

from __future__ import annotations

__all__ = ["ConformanceError"]


class ConformanceError(AssertionError):
    """A plugin breaks a rule of `llmstack.testing.Conformance`.

    Attributes:
        what: What is wrong, and where it was seen.
        why: Why it matters to a program.
        mend: What to change.
    """

    def __init__(self, what: str, why: str, mend: str) -> None:
        """Make the error."""
        super().__init__(what, why, mend)
        self.what = what
        self.why = why
        self.mend = mend

    def __str__(self) -> str:
        """All three."""
        return f"{self.what}\n  Why it matters: {self.why}\n  How to mend it: {self.mend}"
