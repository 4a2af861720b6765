"""The lock of what all calls share: how targets are doing, and who has given which response.

It lets its own thread in again: a flow that is dropped may be ended by the garbage collector in the middle of anything.
"""

from __future__ import annotations

import os
import threading

__all__ = ["LOCK"]

LOCK = threading.RLock()

if hasattr(os, "register_at_fork"):
    # A child must not find it held by a thread that it does not have.
    os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
