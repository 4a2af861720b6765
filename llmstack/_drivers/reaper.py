"""Reaper: ends streams that were dropped without being closed, or are open when the program ends.

A finaliser may run in any thread, in the middle of anything, also while that thread holds a lock that closing needs.
So `__del__` only puts the stream here, and a short-lived thread closes it. (Async streams: see `guard`.)
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

_LINGER = 0.05
"""Seconds the thread waits for more before it ends."""

_PATIENCE = 2.0
"""Seconds that the end of the program waits at most for streams that are still to be closed."""


class Abandonable(Protocol):
    """Something open that can be closed without anybody waiting for it."""

    def abandon(self) -> None:
        """Have it closed soon, if it is open still. Never raises, never blocks."""
        ...


class _Reaper:
    """The open streams, the queue of dropped ones, and whether a thread serves it.

    Made anew in a forked process: the streams of its parent are not its to close.
    """

    def __init__(self) -> None:
        self.open: weakref.WeakSet[Abandonable] = weakref.WeakSet()
        self.work: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self.busy: list[None] = []  # an entry for each thread that closes something, or waits for it
        self.running = False
        self.ending = False
        self.thread: threading.Thread | None = None

    def put(self, close: Callable[[], Any]) -> None:
        self.work.put(close)
        if self.running or self.ending:
            return
        self.running = True
        # A thread starts the thread: `Thread.start` takes a lock, and this may run inside a finaliser, in a thread
        # that holds just that lock.
        try:
            _thread.start_new_thread(self._launch, ())
        except RuntimeError:  # the program is ending; `finish` does the work
            self.running = False

    def _launch(self) -> None:
        if self.ending:
            self.running = False
            return
        try:
            self.thread = threading.Thread(target=self._serve, name="llmstack-reaper", daemon=True)
            self.thread.start()
        except RuntimeError:
            self.running = False

    def _serve(self) -> None:
        while True:
            while self._next(_LINGER):
                pass
            self.running = False
            # Whoever put something in just before saw a thread running; whoever comes after this starts another.
            if self.work.empty():
                return
            self.running = True

    def _next(self, timeout: float) -> bool:
        self.busy.append(None)
        try:
            close = self.work.get(timeout=timeout)
            with contextlib.suppress(BaseException):  # nobody is left to hear of it
                close()
        except Empty:
            return False
        finally:
            self.busy.pop()
        return True

    def finish(self) -> None:
        """Close what is left, at the end of the program, in this thread.

        No thread is started from here on, and one that runs is waited for: a thread that is just ending while the
        interpreter goes can take the whole process down.
        """
        self.ending = True
        for stream in list(self.open):
            stream.abandon()
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and (self._next(0.0) or self.busy):
            time.sleep(0.001)  # the thread, if there is one, closes something now
        if self.thread is not None and self.thread is not threading.current_thread():
            with contextlib.suppress(RuntimeError):  # it never came to start
                self.thread.join(max(0.0, until - time.monotonic()))


_reaper = _Reaper()


def _forked() -> None:
    global _reaper  # noqa: PLW0603 - one for each process
    _reaper = _Reaper()


def _at_exit() -> None:
    _reaper.finish()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_at_exit)


def remember(stream: Abandonable) -> None:
    """Close a stream at the end of the program if it is open then."""
    _reaper.open.add(stream)


def reap(close: Callable[[], Any]) -> None:
    """Call `close` soon, in another thread. Never raises, never blocks."""
    _reaper.put(close)


def drain(timeout: float = 2.0) -> None:
    """Wait until everything dropped so far is closed; for tests and shutdown.

    Args:
        timeout: Seconds to wait at most.
    """
    if _reaper.running or not _reaper.work.empty():
        done = threading.Event()
        reap(done.set)
        done.wait(timeout)
