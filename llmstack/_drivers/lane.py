"""Lanes: what one process has of a `llmstack.background.Background`."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue

__all__ = ["LINGER", "LONG_LINGER", "Job", "Lane"]

LINGER = 0.05
"""Seconds the thread waits for more before it ends, unless that has just proved to be too short."""

LONG_LINGER = 1.0
"""Seconds it waits if the one before it ended so short a time ago. Starting a thread costs several times what most jobs
do, and whoever starts one waits until it runs."""

Job = tuple[Context, Callable[[], object]]


class Lane:
    """The jobs of one process: a forked child gets another, since its parent's jobs are not its to do."""

    __slots__ = ("asleep", "closed", "counting", "ended", "haste", "linger", "server", "thread", "told", "turn", "work")

    def __init__(self) -> None:
        self.work: SimpleQueue[Job | None] = SimpleQueue()
        # Held by the one thread that serves. Only ever tried for, never waited for: a finaliser may hand over a job in
        # the middle of anything.
        self.turn = _thread.allocate_lock()
        self.counting = threading.RLock()  # reentrant for the same reason
        self.thread: threading.Thread | None = None
        self.server: int | None = None  # the ident of the thread that serves
        self.closed = False
        self.told = False
        self.asleep = False  # the thread waits until it is woken
        self.linger = LINGER
        self.ended = -LONG_LINGER  # when the last thread did
        self.haste: SimpleQueue[None] = SimpleQueue()  # told by whoever waits for the jobs; reentrant, as `work` is
