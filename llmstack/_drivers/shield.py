"""Shield: what has begun is brought to its end, cancelled or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from llmstack._drivers.loop import on_asyncio

T = TypeVar("T")


async def shielded(fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Await ``fn(*args)`` to its end even if this task is cancelled meanwhile; the cancellation is raised after it.

    On asyncio a cancel scope does not hold off ``task.cancel()``: the work runs as a task of its own, and this one
    waits for it however often it is cancelled. Used for what is quick: closing a connection, settling books.

    Args:
        fn: An async function.
        args: Its arguments.

    Returns:
        Its result.

    Raises:
        BaseException: What it raises; or the cancellation that came meanwhile.
    """
    results: list[T] = []
    with anyio.CancelScope(shield=True):
        results.append(await (_as_task(fn, args) if on_asyncio() else fn(*args)))
    return results[0]


async def _as_task(fn: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
    async def work() -> T:
        return await fn(*args)

    task = asyncio.get_running_loop().create_task(work())
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not report it as lost
    try:
        raise cancellation
    finally:
        del cancellation  # it holds this frame
