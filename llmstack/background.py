"""Background: small jobs done later, so that whoever hands them over never waits for them.

    from llmstack.background import Background

    background = Background("acme-metrics")

    @hookimpl
    def llmstack_event(self, event):
        background.submit(lambda: send(event.call.id))

For observers that write to something that may block, fail or be slow.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import Empty
from typing import Any

from llmstack._drivers.lane import LINGER, LONG_LINGER, Lane
from llmstack.secrets import mask

__all__ = ["Background"]

_logger = logging.getLogger("llmstack")

_PAUSE = 0.005
"""Seconds after which it looks for more. A thread that waits in the queue is woken by each job, at the cost of whoever
hands it over; one that sleeps does many at once. Where nothing has come for `LINGER` it does wait in the queue."""

_PATIENCE = 2.0
"""Seconds that the end of the program waits at most, for all of them together."""


class Background:
    """A bounded queue of jobs, done one after the other by a daemon thread that lives only while there is work.

    Jobs are done in the order they were handed over, each in a copy of the context (context variables) of whoever did.
    A forked process starts with an empty queue. At the end of the program two seconds are spent at most on what is
    left; a process that ends without that (`os._exit`, a signal) must `flush` by itself. The thread waits a moment for
    more, a second where more came just after it had ended.

    Args:
        name: The thread's name, and what it is called in the one warning that it may log.
        capacity: Jobs that may wait; what comes beyond is dropped. Threads that submit at the same moment may pass
            it by one each.
        on_failure: Called with the first exception of a job, in the background thread, instead of the warning to the
            logger ``llmstack``. What it raises is passed over.

    Attributes:
        dropped: Jobs refused so far because the queue was full or closed.
        failures: Jobs that raised so far.

    Raises:
        ValueError: If the capacity is less than 1.
    """

    def __init__(
        self, name: str, capacity: int = 10_000, *, on_failure: Callable[[BaseException], object] | None = None
    ) -> None:
        if capacity < 1:
            message = f"capacity must be at least 1 job, not {capacity}"
            raise ValueError(message)
        self.name = name
        self.capacity = capacity
        self.dropped = 0
        self.failures = 0
        self._on_failure = on_failure
        self._lane = Lane()
        _all.add(self)

    def __repr__(self) -> str:
        """Its name and counts."""
        waiting = self._lane.work.qsize()
        return f"<Background {self.name!r}: {waiting} waiting, {self.dropped} dropped, {self.failures} failed>"

    def submit(self, job: Callable[[], object]) -> bool:
        """Have a job done soon. Never blocks, never raises.

        While the program is ending it may wait for the job, as long as the two seconds last.

        Args:
            job: A function without arguments; what it returns is passed over, what it raises is counted.

        Returns:
            False if it was dropped, since the queue is full or closed.
        """
        lane = self._lane
        over = _ending.until is not None and time.monotonic() > _ending.until
        if lane.closed or over or lane.work.qsize() >= self.capacity:
            with lane.counting:
                self.dropped += 1
            return False
        lane.work.put((copy_context(), job))
        if lane.asleep:
            lane.asleep = False
            lane.haste.put(None)
        self._serve_soon(lane)
        if _ending.until is not None and lane.server != _thread.get_ident():
            self._finish(_ending.until)
        return True

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until all jobs handed over so far are done. Blocks: an async program calls it in a thread.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            False if they are not done in time, or if a job of its own asks.
        """
        lane = self._lane
        if lane.server == _thread.get_ident():
            return False
        if self.idle:
            return True
        done = threading.Event()
        lane.work.put((Context(), done.set))
        lane.haste.put(None)
        self._serve_soon(lane)
        return done.wait(timeout)

    @property
    def idle(self) -> bool:
        """True if nothing waits and nothing is being done, so that `flush` would return at once."""
        lane = self._lane
        return lane.work.empty() and (lane.asleep or not lane.turn.locked())

    def close(self, timeout: float = 2.0) -> bool:
        """Take no more jobs, and wait until those handed over are done.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            False if they are not done in time; they are done later, if they can be.
        """
        self._lane.closed = True
        self._lane.haste.put(None)  # wakes a thread that only waits for more
        return self.flush(timeout)

    # The thread -------------------------------------------------------------------------------------------------

    def _serve_soon(self, lane: Lane) -> None:
        """See to it that exactly one thread serves."""
        if not lane.turn.acquire(blocking=False):
            return
        # Whoever hands over sees the thread started: one that is seen only about to start cannot be joined. A finaliser
        # may come here while its own thread starts another: the locks of `Thread.start` are reentrant (Python 3.10).
        try:
            thread = threading.Thread(target=self._serve, args=(lane,), name=self.name, daemon=True)
            thread.start()
        except RuntimeError:  # no thread can be had now: the next job tries again
            lane.turn.release()
        else:
            lane.thread = thread

    def _serve(self, lane: Lane) -> None:
        lane.server = _thread.get_ident()
        while True:
            idle = time.monotonic()
            lane.linger = LONG_LINGER if idle - lane.ended < LONG_LINGER else LINGER
            while self._next(lane) or self._more(lane, idle):
                idle = time.monotonic()
            lane.ended = time.monotonic()
            lane.server = None
            lane.turn.release()
            # Whoever handed something over just before saw a thread serving; whoever comes after this starts another.
            if self._lane is not lane or lane.work.empty() or not lane.turn.acquire(blocking=False):
                return
            lane.server = _thread.get_ident()

    def _more(self, lane: Lane, idle: float) -> bool:
        """Wait for more; False if none comes, or this process is not the one to do it."""
        until = idle + lane.linger
        while self._lane is lane and _ending.until is None and not lane.closed and (now := time.monotonic()) < until:
            # Before it looks for more: whoever hands it over later sees that this thread is to be woken.
            lane.asleep = now >= idle + LINGER
            if not lane.work.empty():
                break
            with contextlib.suppress(Empty):
                lane.haste.get(timeout=until - now if lane.asleep else _PAUSE)
        lane.asleep = False
        return self._lane is lane and not lane.work.empty()

    def _next(self, lane: Lane) -> bool:
        try:
            job = lane.work.get_nowait()
        except Empty:
            return False
        if job is not None:
            try:
                job[0].run(job[1])
            except BaseException as error:  # noqa: BLE001 - nobody else is left to hear of it
                self._failed(error)
            if self.dropped and not lane.told:
                lane.told = True
                self._warn(f"{self.name}: more than {self.capacity} waited, so some were dropped; see `dropped`")
        return self._lane is lane  # a job that forked is still being done in the child, which begins anew

    def _failed(self, error: BaseException) -> None:
        self.failures += 1
        if self.failures > 1:
            return
        if self._on_failure is not None:
            with contextlib.suppress(BaseException):
                self._on_failure(error)
            return
        # What the system says of itself, and we; any other text may quote what the job was about.
        system = isinstance(error, OSError) and error.errno is not None
        own = type(error).__module__.partition(".")[0] == "llmstack"
        told = f"[Errno {error.errno}] {error.strerror}" if system else str(error) if own else ""  # type: ignore[attr-defined]
        text = told and ": " + mask(told)[:200].encode("unicode_escape").decode()
        self._warn(f"{self.name}: {type(error).__name__}{text} ({place(error)}); further failures are only counted")

    def _warn(self, text: str) -> None:
        with contextlib.suppress(BaseException):  # the program's log may be just what is broken
            _logger.warning("%s", text)

    def _finish(self, until: float) -> None:
        """Wait for the jobs, at the end of the program, and for the thread.

        One that is just ending while the interpreter goes can take the whole process down.
        """
        lane = self._lane
        if not lane.work.empty():
            self._serve_soon(lane)
        if lane.turn.locked():
            lane.work.put(None)
            lane.haste.put(None)  # wakes a thread that only waits for more
        if lane.turn.acquire(timeout=max(0.0, until - time.monotonic())):  # else what it does blocks: it is left behind
            self._join(lane, until)
            lane.turn.release()

    def _join(self, lane: Lane, until: float) -> None:
        if lane.thread is not None and lane.thread is not threading.current_thread():
            with contextlib.suppress(RuntimeError):  # it never came to start
                lane.thread.join(max(0.0, until - time.monotonic()))

    def _forked(self) -> None:
        self._lane = Lane()
        self.dropped = self.failures = 0


class _Ending:
    """Whether the program is ending, and how long that may take."""

    until: float | None = None


_ending = _Ending()
_all: weakref.WeakSet[Background] = weakref.WeakSet()


def place(error: BaseException) -> str:
    """Where an error was raised: file and line, no more."""
    place: Any = error.__traceback__
    if place is None:
        return "unknown place"
    while place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}"


def _forked() -> None:
    _ending.until = None
    for background in list(_all):
        background._forked()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _at_exit() -> None:
    _ending.until = time.monotonic() + _PATIENCE
    for background in list(_all):
        background._finish(_ending.until)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_at_exit)
