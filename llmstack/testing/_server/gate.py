"""A held answer, let go by the test rather than by a clock."""

from __future__ import annotations

import asyncio
import threading


class Gate:
    """The control over one order of `LocalServer.next`.

    The server *reaches* the gate when it comes to the point the order names: where an answer is held, or, for an
    order that holds nothing, when a request has taken it. Usable from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reached = threading.Event()
        self._open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def __repr__(self) -> str:
        return f"<Gate reached={self.reached} released={self.released}>"

    @property
    def reached(self) -> bool:
        """Whether a request has come to the gate."""
        return self._reached.is_set()

    @property
    def released(self) -> bool:
        """Whether `release` was called."""
        return self._open

    def wait_reached(self, timeout: float = 10.0) -> None:
        """Block until a request has come to the gate.

        Args:
            timeout: Seconds.

        Raises:
            TimeoutError: No request came in time.
        """
        if not self._reached.wait(timeout):
            msg = f"no request reached the gate within {timeout} s"
            raise TimeoutError(msg)

    def release(self) -> None:
        """Let through whatever is held here, now and later. Harmless if called twice."""
        with self._lock:
            self._open = True
            waiting, self._waiting = self._waiting, []
        for loop, opened in waiting:
            # a server stopped meanwhile has closed its loop, and with it the request
            if not loop.is_closed():
                loop.call_soon_threadsafe(opened.set)

    def reach(self) -> None:
        """For the server: note that a request has come."""
        self._reached.set()

    async def passed(self) -> None:
        """For the server: note that a request has come, and wait until it may go on."""
        opened = asyncio.Event()
        with self._lock:
            if not self._open:
                self._waiting.append((asyncio.get_running_loop(), opened))
            else:
                opened.set()
        self._reached.set()
        await opened.wait()
