"""The clients of one store: one for all threads, one for each event loop, new ones in a forked process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmstack_redis.client import Opened, make_async, make_sync, prepare_tls
from llmstack_redis.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio.connection import RedisSSLContext

__all__ = ["AsyncSeat", "Clients", "Seat"]


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """The client for threads, and how many of them may use it at once: each takes a connection."""

    opened: Opened
    free: threading.Semaphore


@dataclass(frozen=True, slots=True, eq=False)
class AsyncSeat:
    """The same for the tasks of one event loop."""

    opened: Opened
    free: asyncio.Semaphore
    ending: AsyncGenerator[None, None]


_Seats = dict[asyncio.AbstractEventLoop, AsyncSeat]


@dataclass(slots=True, eq=False)
class _Open:
    """What is open: apart from `Clients`, so that it can be closed when that is dropped."""

    seat: Seat | None = None
    seats: _Seats = field(default_factory=dict)

    def close(self) -> None:
        """Close the client for threads; those of running event loops are closed by their loops, soon."""
        seat, self.seat = self.seat, None
        if seat is not None:
            seat.opened.close()
        for loop, other in list(self.seats.items()):
            if loop.is_running():
                with contextlib.suppress(RuntimeError):  # it has just ended, and closed it
                    loop.call_soon_threadsafe(_close_now, other)


class Clients:
    """Makes clients as they are needed."""

    def __init__(self, settings: Settings) -> None:
        """Make none yet.

        Args:
            settings: Where Redis is, and how it is used.
        """
        self._settings = settings
        self._prepared: RedisSSLContext | None = None
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._open = _Open()
        self._end = weakref.finalize(self, self._open.close)

    def here(self) -> Seat:
        """The client for threads. For a cluster, making it is I/O: nobody else is kept waiting for that."""
        seat = self._open.seat
        if seat is not None:
            return seat
        made = Seat(make_sync(self._settings), threading.Semaphore(self._settings.connections))
        with self._lock:
            if self._open.seat is None:
                self._open.seat = made
            seat = self._open.seat
        if seat is not made:
            made.opened.close()
        return seat

    async def ahere(self) -> AsyncSeat:
        """The client for the running event loop, which closes it at its end."""
        loop = asyncio.get_running_loop()
        seat = self._open.seats.get(loop)
        if seat is None:
            if self._settings.tls and self._prepared is None:
                self._prepared = await asyncio.to_thread(prepare_tls, self._settings)
            seat = self._open.seats.get(loop)  # another task may have been quicker
        if seat is None:
            for ended in [other for other in list(self._open.seats) if other.is_closed()]:
                _living.discard(self._open.seats.pop(ended))
            opened = make_async(self._settings, self._prepared)
            ending = _at_the_end(self._open.seats, loop, opened)
            seat = AsyncSeat(opened, asyncio.Semaphore(self._settings.connections), ending)
            self._open.seats[loop] = seat
            _living.add(seat)
            await anext(ending)
        return seat

    def close(self) -> None:
        """Close the client for threads; those of running event loops are closed by their loops, soon."""
        with self._lock:
            self._open.close()

    async def aclose(self) -> None:
        """Close the client for threads and that of the running event loop, if that is asyncio's."""
        with contextlib.suppress(RuntimeError):  # trio runs this: it has no client of its own
            seat = self._open.seats.get(asyncio.get_running_loop())
            if seat is not None:
                await seat.ending.aclose()
        self.close()

    def forked(self) -> None:
        """In a new process: leave alone what belongs to the parent, and begin without clients."""
        self._end.detach()
        _inherited.append(self._open)
        self._begin()


_living: set[AsyncSeat] = set()
"""The clients of event loops until they are closed: a store that is dropped leaves its client to the loop, to close."""

_all: weakref.WeakSet[Clients] = weakref.WeakSet()
_inherited: list[object] = []
"""The parent's clients: to let go of them would close, or talk on, the connections that the parent uses."""


async def _at_the_end(seats: _Seats, loop: asyncio.AbstractEventLoop, opened: Opened) -> AsyncGenerator[None, None]:
    """Wait for the loop's end: asyncio finishes its generators before, and waits for that."""
    try:
        yield
    finally:
        seat = seats.pop(loop, None)
        try:
            with contextlib.suppress(Exception):  # nobody is left to hear of it
                await opened.aclose()
        finally:
            if seat is not None:
                _living.discard(seat)


_closing: set[asyncio.Task[None]] = set()


def _close_now(seat: AsyncSeat) -> None:
    async def close() -> None:
        with contextlib.suppress(RuntimeError):  # it is being closed
            await seat.ending.aclose()

    task = asyncio.get_running_loop().create_task(close())
    _closing.add(task)  # asyncio holds its tasks weakly
    task.add_done_callback(_closing.discard)


def _forked() -> None:
    for clients in list(_all):
        clients.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
