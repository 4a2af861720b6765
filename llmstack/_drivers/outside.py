"""Flows outside of a call: what a program, a command or a background thread asks of a store."""

from __future__ import annotations

from typing import Any, TypeVar

from llmstack._core.effects import Emit, Flow, Now, Parallel, Race, Send
from llmstack._core.transport import Clock
from llmstack._drivers.asynchronous import arun
from llmstack._drivers.clock import SystemClock
from llmstack._drivers.sync import run

T = TypeVar("T")


def drive(flow: Flow[T], *, clock: Clock | None = None) -> T:
    """Run a flow that belongs to no call, in this thread.

    Args:
        flow: Such as ``store.stats()``.
        clock: Time, for tests; the system's if not given.

    Returns:
        What the flow returns.

    Raises:
        TypeError: If it wants to send a call.
        BaseException: What the flow raises.
    """
    time = clock or SystemClock()
    return run(_served(flow, time), time)


async def adrive(flow: Flow[T], *, clock: Clock | None = None) -> T:
    """The same in an async program."""
    time = clock or SystemClock()
    return await arun(_served(flow, time), time)


def _served(flow: Flow[T], clock: Clock) -> Flow[T]:
    """Serve the effects that a call's engine serves else: the time, and events that nobody hears."""
    value: Any = None
    error: BaseException | None = None
    try:
        while True:
            try:
                effect = flow.send(value) if error is None else flow.throw(error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            value = error = None
            try:
                if type(effect) is Now:
                    value = clock.time() if effect.wall else clock.monotonic()
                elif isinstance(effect, (Parallel, Race)):
                    value = yield type(effect)(tuple(_served(branch, clock) for branch in effect.flows))
                elif type(effect) is Send:
                    message = "this flow belongs to no call: there is nothing to send it with"
                    error = TypeError(message)
                elif type(effect) is not Emit:
                    value = yield effect
            except BaseException as caught:  # noqa: BLE001 - the flow decides what an error means
                error = caught
    finally:
        error = None  # its traceback holds this frame
