"""The lock of what all calls share, held for a few steps of Python at a time, never across a yield.

Who forks takes it first, so that a child never finds it held by a thread that it does not have. It lets its own thread
in again: a flow that is dropped may be ended by the garbage collector in the middle of anything.
"""

from __future__ import annotations

import os
import threading

__all__ = ["LOCK"]

LOCK = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
