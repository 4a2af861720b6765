"""The lock of all that is kept in memory, held for a few steps of Python at a time, never across a yield.

One for all: who forks takes it first, so that a child never finds it held by a thread that it does not have.
"""

from __future__ import annotations

import os
import threading

__all__ = ["LOCK"]

LOCK = threading.Lock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
