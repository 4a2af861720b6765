"""The lock of all that is kept in memory, held for a few steps of Python at a time, never across a yield."""

from __future__ import annotations

from typing import Final

from llmstack.locks import fork_safe_lock

__all__ = ["LOCK"]

LOCK: Final = fork_safe_lock()
