"""Strike: a program cancelled at its n-th suspension, for each n."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

import anyio

__all__ = ["KINDS", "Kind", "cancelled_at", "struck"]


@types.coroutine
def struck(coroutine: Coroutine[Any, Any, Any], strike: Callable[[int], None]) -> Generator[Any, Any, int]:
    """Run a coroutine to its end; `strike` is called at each of its suspensions, with its number from 1."""
    count = 0
    result: Any = None
    error: BaseException | None = None
    while True:
        try:
            waited = coroutine.send(result) if error is None else coroutine.throw(error)
        except StopIteration:
            return count
        result = error = None
        count += 1
        strike(count)
        try:
            result = yield waited
        except BaseException as caught:  # noqa: BLE001 - it belongs inside
            error = caught


@dataclass(frozen=True, slots=True)
class Kind:
    """How a program is cancelled.

    Attributes:
        loop: The event loop.
        native: True for ``task.cancel()`` of asyncio, False for a cancel scope.
    """

    loop: str
    native: bool = False

    def __str__(self) -> str:
        """As a failure names it."""
        return "task.cancel() of asyncio" if self.native else f"a cancel scope of {self.loop}"


KINDS = (Kind("asyncio", native=True), Kind("asyncio"), Kind("trio"))


async def cancelled_at(n: int, coroutine: Coroutine[Any, Any, Any], kind: Kind) -> tuple[bool, bool]:
    """Run a coroutine, cancelled at its n-th suspension.

    Returns:
        Whether it had as many, and whether the cancellation got through.
    """
    reached = False
    task: asyncio.Task[None] | None = None

    def strike(count: int) -> None:
        nonlocal reached
        if count == n:
            reached = True
            task.cancel() if task is not None else scope.cancel()

    if kind.native:
        task = asyncio.ensure_future(_only(coroutine, strike))
        try:
            await task
        except asyncio.CancelledError:
            return reached, True
        return reached, False
    with anyio.CancelScope() as scope:
        await struck(coroutine, strike)
    # A scope that is cancelled at the very last step has nothing left to cancel.
    return reached, scope.cancelled_caught


async def _only(coroutine: Coroutine[Any, Any, Any], strike: Callable[[int], None]) -> None:
    await struck(coroutine, strike)
