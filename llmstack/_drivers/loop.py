"""The running event loop, asyncio's or trio's, behind the two things the drivers need of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import sniffio


@dataclass(frozen=True, slots=True)
class Loop:
    """A running event loop that other threads may talk to.

    Attributes:
        call_soon: Call a function in the loop's thread. Raises RuntimeError if the loop has ended.
        spawn: Start an async function as a task of the loop, from any thread. Raises RuntimeError likewise.
        key: Identifies the loop while it lives.
    """

    call_soon: Callable[[Callable[[], Any]], Any]
    spawn: Callable[[Callable[[], Awaitable[Any]]], Any]
    key: object


def current_loop() -> Loop:
    """The event loop that runs this.

    Raises:
        RuntimeError: If none runs here.
    """
    if sniffio.current_async_library() == "trio":
        return _trio()
    return _asyncio()


# Tasks that nobody awaits: asyncio holds tasks weakly only, so somebody must hold them.
_tasks: set[asyncio.Task[Any]] = set()


def _asyncio() -> Loop:
    loop = asyncio.get_running_loop()

    def start(fn: Callable[[], Awaitable[Any]]) -> None:
        async def run() -> None:
            await fn()

        task = loop.create_task(run())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    return Loop(
        call_soon=loop.call_soon_threadsafe,
        spawn=lambda fn: loop.call_soon_threadsafe(start, fn),
        key=loop,
    )


def _trio() -> Loop:
    import trio

    token = trio.lowlevel.current_trio_token()

    def spawn(fn: Callable[[], Awaitable[Any]]) -> None:
        try:
            token.run_sync_soon(trio.lowlevel.spawn_system_task, fn)
        except trio.RunFinishedError as error:
            raise RuntimeError("the trio run has ended") from error

    def call_soon(fn: Callable[[], Any]) -> None:
        try:
            token.run_sync_soon(fn)
        except trio.RunFinishedError as error:
            raise RuntimeError("the trio run has ended") from error

    return Loop(call_soon=call_soon, spawn=spawn, key=token)
