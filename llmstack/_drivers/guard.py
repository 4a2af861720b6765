"""Guard: ends async streams in the event loop they belong to, at the latest when that loop ends.

A dropped stream is closed by a task of its loop. But tasks that are started as a loop ends are not waited for, and a
stream that the program still holds then would never be closed. Both asyncio and trio finish async generators before
they end, and wait for that: so each loop has one here, suspended, whose ``finally`` closes what is left.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

import anyio
import anyio.lowlevel

from llmstack._drivers.loop import Loop
from llmstack._drivers.reaper import reap

_PATIENCE = 2.0
"""Seconds that a loop waits at its end for streams that are being closed."""


class Closable(Protocol):
    """Something open that belongs to an event loop."""

    async def aclose(self) -> None:
        """Close it; may be called again."""
        ...


class _Errand:
    """Closing a dropped stream, once: in its own loop, or elsewhere if that loop ends before it comes to it."""

    __slots__ = ("_close", "guard")

    def __init__(self, close: Callable[[], Awaitable[Any]], guard: _Guard | None) -> None:
        self._close: Callable[[], Awaitable[Any]] | None = close
        self.guard = guard

    async def run(self) -> None:
        close, self._close = self._close, None
        if close is None:
            return
        try:
            with contextlib.suppress(Exception):  # nobody is left to hear of it
                await close()
        finally:
            if self.guard is not None:
                self.guard.errands.discard(self)

    def __del__(self) -> None:
        if self._close is not None:
            elsewhere = _Errand(self._close, None)
            self._close = None
            reap(lambda: anyio.run(elsewhere.run))


class _Guard:
    """What is open in one event loop, and what is being closed in it."""

    def __init__(self, key: object) -> None:
        self.open: weakref.WeakSet[Closable] = weakref.WeakSet()
        self.errands: set[_Errand] = set()
        self._generator = _at_the_end(self, key)
        # The first step by hand: nobody can await here. It makes the loop know the generator.
        with contextlib.suppress(StopIteration):
            self._generator.__anext__().send(None)

    async def close(self) -> None:
        for stream in list(self.open):
            with contextlib.suppress(Exception):
                await stream.aclose()
        for errand in list(self.errands):
            await errand.run()
        with anyio.move_on_after(_PATIENCE, shield=True):
            while self.errands:
                await anyio.lowlevel.checkpoint()


_guards: dict[object, _Guard] = {}


async def _at_the_end(guard: _Guard, key: object) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        _guards.pop(key, None)
        await guard.close()


def watch(stream: Closable, loop: Loop) -> None:
    """Close a stream when its loop ends, if it is open then. To be called in that loop."""
    guard = _guards.get(loop.key)
    if guard is None:
        _forget_ended()
        guard = _guards[loop.key] = _Guard(loop.key)
    guard.open.add(stream)


def areap(close: Callable[[], Awaitable[Any]], loop: Loop) -> None:
    """Await ``close()`` soon in the event loop it belongs to; if that has ended, in a thread. Never raises."""
    guard = _guards.get(loop.key)
    errand = _Errand(close, guard)
    if guard is not None:
        guard.errands.add(errand)
    try:
        loop.spawn(errand.run)
    except RuntimeError:
        if guard is not None:
            guard.errands.discard(errand)


def _forget_ended() -> None:
    """Let go of loops that were closed without finishing their generators; their errands are then done elsewhere."""
    for key in list(_guards):
        if isinstance(key, asyncio.AbstractEventLoop) and key.is_closed() and (guard := _guards.pop(key, None)):
            guard.errands.clear()


atexit.register(_forget_ended)
