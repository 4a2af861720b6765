"""The lock of what all calls share, held for a few steps of Python at a time."""

from __future__ import annotations

from typing import Final

from llmstack.locks import fork_safe_lock

__all__ = ["LOCK"]

LOCK: Final = fork_safe_lock()
