"""The system's clock."""

from __future__ import annotations

import time

import anyio


class SystemClock:
    """Real time. The default of every stack; tests use `llmstack.testing.FakeClock`."""

    __slots__ = ()

    def time(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread for some seconds."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Suspend this task for some seconds, on asyncio or trio."""
        await anyio.sleep(seconds)
