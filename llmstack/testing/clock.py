"""A clock that only moves when it is told to, or when somebody sleeps."""

from __future__ import annotations

import threading

import anyio


class FakeClock:
    """Time for tests: sleeping takes no time and moves the clock.

        clock = FakeClock()
        stack = Stack([Retry()], clock=clock)
        ...
        assert clock.sleeps == [0.5, 1.0]

    Attributes:
        sleeps: Every sleep so far, in seconds, in order.
    """

    def __init__(self, *, monotonic: float = 1000.0, time: float = 1_700_000_000.0) -> None:
        """Start at some time.

        Args:
            monotonic: Seconds that `monotonic` starts at.
            time: Seconds since the epoch that `time` starts at.
        """
        self._lock = threading.Lock()
        self._elapsed = 0.0
        self._monotonic = monotonic
        self._time = time
        self.sleeps: list[float] = []

    def advance(self, seconds: float) -> None:
        """Let some seconds pass."""
        with self._lock:
            self._elapsed += seconds

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._time + self._elapsed

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return self._monotonic + self._elapsed

    def sleep(self, seconds: float) -> None:
        """Note the sleep and move on at once."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """The same, with a real suspension point in it, so that it can be cancelled."""
        await anyio.lowlevel.checkpoint()
        self.sleep(seconds)
