"""The running event loop, asyncio's or trio's, behind the few things that llmstack needs of it."""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

from anyio.lowlevel import current_token


@dataclass(frozen=True, slots=True)
class Loop:
    """A running event loop that other threads may talk to.

    Attributes:
        call_soon: Call a function in the loop's thread. Raises RuntimeError if the loop has ended.
        spawn: Start an async function as a task of the loop, from any thread. Raises RuntimeError likewise. A loop
            that is about to end may drop the function without calling it.
        key: Identifies the loop while it lives.
    """

    call_soon: Callable[[Callable[[], Any]], Any]
    spawn: Callable[[Callable[[], Awaitable[Any]]], Any]
    key: object


def on_asyncio() -> bool:
    """True if the event loop that runs this is asyncio's (or one like it, such as uvloop's), False if it is trio's.

    Raises:
        RuntimeError: If none runs here.
    """
    return isinstance(current_token().native_token, asyncio.AbstractEventLoop)


def current_key() -> object:
    """What identifies the event loop that runs this: the `key` of its `Loop`.

    Raises:
        RuntimeError: If none runs here.
    """
    return current_token().native_token


def current_loop() -> Loop:
    """The event loop that runs this.

    Raises:
        RuntimeError: If none runs here.
    """
    return _asyncio(asyncio.get_running_loop()) if on_asyncio() else _trio()


# Tasks that nobody awaits: asyncio holds tasks weakly only, so somebody must hold them.
_tasks: set[asyncio.Task[Any]] = set()


def _asyncio(loop: asyncio.AbstractEventLoop) -> Loop:
    def start(fn: Callable[[], Awaitable[Any]]) -> None:
        work = _undeterred(fn)
        work.send(None)
        task = loop.create_task(work)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    return Loop(
        call_soon=loop.call_soon_threadsafe,
        spawn=lambda fn: loop.call_soon_threadsafe(start, fn),
        key=loop,
    )


async def _undeterred(fn: Callable[[], Awaitable[Any]]) -> None:
    """Await ``fn()``, also in a task that is cancelled before its first step, as ``asyncio.run`` does at its end.

    Such a task throws the cancellation into its coroutine. This one is therefore begun before it is given to a task.
    """
    with contextlib.suppress(asyncio.CancelledError):
        await _pause()
    await fn()


@types.coroutine
def _pause() -> Generator[None, None, None]:
    yield


def _trio() -> Loop:
    import trio

    token = trio.lowlevel.current_trio_token()

    def start(fn: Callable[[], Awaitable[Any]]) -> None:
        with contextlib.suppress(RuntimeError):  # the run is ending and takes no more tasks
            trio.lowlevel.spawn_system_task(fn)

    def call_soon(fn: Callable[..., Any], *args: Any) -> None:
        try:
            token.run_sync_soon(fn, *args)
        except trio.RunFinishedError as error:
            raise RuntimeError("the trio run has ended") from error

    return Loop(call_soon=call_soon, spawn=lambda fn: call_soon(start, fn), key=token)
