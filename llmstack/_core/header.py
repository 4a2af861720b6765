"""Headers: which belong to a call's own body or answer, and which to its program."""

from __future__ import annotations

_OF_BODIES = frozenset({"accept", "content-type", "content-length", "idempotency-key", "openai-beta"})


def belongs_to_body(name: str) -> bool:
    """Whether a header belongs to a call's own body or answer; all others, such as keys, are the program's."""
    lowered = name.lower()
    return lowered in _OF_BODIES or lowered.startswith("x-stainless-")
