"""The gate of all work on SQLite files: who forks waits until none is in flight, and has all connections closed.

A connection must not be carried across a fork: SQLite's list of the locks that its process holds is copied, the locks
themselves are not, so that even a *new* connection of the child would believe itself safe when it is not. (Source:
"How To Corrupt An SQLite Database File", section 2.6.)
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["alone", "in_flight", "watch"]

_PATIENCE = 10.0
"""Seconds that a fork waits at most for what is in flight."""


class Closable(Protocol):
    """What has connections."""

    def drain(self) -> None:
        """Close those that nobody uses."""
        ...


class _Gate:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        # Entered as it is, never through its condition: that is written in Python, and a Ctrl-C that struck in there
        # would leave it locked for ever.
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.busy: set[object] = set()
        self.forks = 0
        self.alone = threading.Lock()


_gate = _Gate()
_watched: weakref.WeakSet[Closable] = weakref.WeakSet()


def watch(pool: Closable) -> None:
    """Have a pool drained before every fork."""
    _watched.add(pool)


@contextmanager
def in_flight() -> Generator[None, None, None]:
    """Around all work on a connection: the process is not forked meanwhile."""
    gate = _gate
    me = object()
    try:
        with gate.lock:
            while gate.forks:
                gate.changed.wait()
            gate.busy.add(me)
        yield
    finally:
        with gate.lock:
            gate.busy.discard(me)
            if gate.forks:
                gate.changed.notify_all()


def alone() -> threading.Lock:
    """Held while a file is made, and before one is opened: closing what was made drops all the locks of its process."""
    return _gate.alone


def _before() -> None:
    until = time.monotonic() + _PATIENCE
    with _gate.lock:
        _gate.forks += 1
        while _gate.busy and (left := until - time.monotonic()) > 0:
            _gate.changed.wait(left)
    for pool in list(_watched):
        pool.drain()


def _in_parent() -> None:
    with _gate.lock:
        _gate.forks -= 1
        _gate.changed.notify_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_gate.reset)
