"""Locks for what all calls of a program share.

    from llmstack.locks import fork_safe_lock

    LOCK = fork_safe_lock()

For plugins that keep something between calls. Hold one for a few steps at a time, and never across a ``yield``: whoever
drives the flow may not come back to it in this thread.
"""

from __future__ import annotations

import os
import threading

__all__ = ["fork_safe_lock"]


def fork_safe_lock() -> threading.RLock:
    """A lock that a forked process never finds held by a thread that it does not have: who forks takes it first.

    It lets its own thread in again, since a flow that is dropped may be ended by the garbage collector in the middle of
    anything. Make it once, for a module: it lives as long as the process.

    Returns:
        The lock; where there is no fork, a plain one.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock
