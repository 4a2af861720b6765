"""The lock of what all calls share: how targets are doing, and who has given which response."""

from __future__ import annotations

from typing import Final

from llmstack.locks import fork_safe_lock

__all__ = ["LOCK"]

LOCK: Final = fork_safe_lock()
