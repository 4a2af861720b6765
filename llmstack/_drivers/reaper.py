"""Reaper: ends streams that were dropped without being closed.

A finaliser may run in any thread, in the middle of anything, also while that thread holds a lock that closing needs.
So `__del__` only puts the stream here; a short-lived thread (sync) or the stream's own event loop (async) closes it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from typing import Any

import anyio

from llmstack._drivers.loop import Loop

_work: SimpleQueue[Callable[[], Any]] = SimpleQueue()
_lock = threading.RLock()  # re-entrant: a finaliser may run inside `_start` itself
_thread: threading.Thread | None = None

_LINGER = 0.05
"""Seconds the thread waits for more before it ends."""


def reap(close: Callable[[], Any]) -> None:
    """Call `close` soon, in another thread. Never raises, never blocks."""
    _work.put(close)
    with contextlib.suppress(RuntimeError):  # at interpreter exit no thread can start: the process ends anyway
        _start()


def areap(close: Callable[[], Awaitable[Any]], loop: Loop) -> None:
    """Await ``close()`` soon in the event loop it belongs to; if that has ended, in a thread. Never raises."""

    async def quietly() -> None:
        with contextlib.suppress(Exception):
            await close()

    try:
        loop.spawn(quietly)
    except RuntimeError:
        reap(lambda: anyio.run(quietly))


def _start() -> None:
    global _thread  # noqa: PLW0603 - one thread for the process, started when needed
    with _lock:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="llmstack-reaper", daemon=True)
            _thread.start()


def _run() -> None:
    global _thread  # noqa: PLW0603
    while True:
        try:
            close = _work.get(timeout=_LINGER)
        except Empty:
            with _lock:
                if _work.empty():
                    _thread = None
                    return
            continue
        with contextlib.suppress(BaseException):  # nobody is left to hear of it
            close()


def drain(timeout: float = 2.0) -> None:
    """Wait until everything dropped so far is closed; for tests and shutdown.

    Args:
        timeout: Seconds to wait at most.
    """
    done = threading.Event()
    reap(done.set)
    done.wait(timeout)
