"""The async driver: runs a flow in this task, on asyncio or trio."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import anyio
import anyio.abc

from llmstack._core.effects import Effect, Flow, Parallel, Race, Run, Sleep, Wait
from llmstack._core.transport import Clock
from llmstack._drivers.loop import current_loop
from llmstack._drivers.shield import shielded

T = TypeVar("T")


async def arun(flow: Flow[T], clock: Clock) -> T:
    """Run a flow to its end, awaiting what it asks for.

    A cancellation is thrown into the flow so that it closes its books; what the flow asks for after that is
    shielded, and the cancellation is raised again at the end whatever the flow made of it.

    Args:
        flow: The flow.
        clock: Time for its sleeps.

    Returns:
        What the flow returns.

    Raises:
        BaseException: What the flow raises, or the cancellation.
    """
    value: Any = None
    error: BaseException | None = None
    interruption: BaseException | None = None
    try:
        while True:
            try:
                effect = flow.send(value) if error is None else flow.throw(error)
            except StopIteration as stop:
                if interruption is not None:
                    raise interruption from None
                return stop.value  # type: ignore[no-any-return]
            except Exception:
                if interruption is not None:
                    raise interruption from None
                raise
            value = error = None
            try:
                value = await _performed(effect, clock, interruption)
            except BaseException as caught:  # noqa: BLE001 - the flow decides what an error means
                error = caught
                if not isinstance(caught, Exception):
                    interruption = caught
    finally:
        # An error kept in a frame that its own traceback holds is a cycle that delays clean-up.
        error = interruption = None


async def _performed(effect: Effect, clock: Clock, interruption: BaseException | None) -> Any:
    """Perform an effect, shielded if it asks for that or comes after an interruption."""
    if type(effect) is Run:
        if effect.async_fn is None:
            return effect.sync_fn()
        if interruption is None and not effect.shield:
            return await effect.async_fn()
    if isinstance(interruption, GeneratorExit):
        # Somebody destroys this coroutine instead of cancelling its task: it cannot await any more.
        raise interruption
    if interruption is not None or (type(effect) is Run and effect.shield):
        return await shielded(_perform, effect, clock)
    return await _perform(effect, clock)


async def _perform(effect: Effect, clock: Clock) -> Any:
    if type(effect) is Run and effect.async_fn is not None:
        return await effect.async_fn()
    if type(effect) is Sleep:
        return await clock.asleep(max(0.0, effect.seconds))
    if type(effect) is Wait:
        return await _wait(effect.future, effect.timeout)
    if type(effect) is Parallel:
        return await _parallel(effect.flows, clock)
    if type(effect) is Race:
        return await _race(effect.flows, clock)
    message = f"no async driver for {type(effect).__name__}"
    raise TypeError(message)


async def _wait(future: Future[Any], timeout: float | None) -> Any:  # noqa: ASYNC109 - it is the effect's
    """Wait for a future that any thread or task may set."""
    if not future.done():
        loop, ready = current_loop(), anyio.Event()

        def wake(_: Future[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the waiting
                loop.call_soon(ready.set)

        future.add_done_callback(wake)
        with anyio.move_on_after(timeout):
            await ready.wait()
    return future.result(0)


async def _parallel(flows: tuple[Flow[Any], ...], clock: Clock) -> list[Any]:
    """Run flows as tasks; the first error cancels the others and is raised."""
    ends = await _ends(flows, clock, lambda error: error is not None)
    results = dict.fromkeys(range(len(flows)))
    try:
        for i, result, error in ends:
            if error is not None:
                raise error
            results[i] = result
    finally:
        ends.clear()
        error = None  # its traceback holds this frame
    return list(results.values())


async def _race(flows: tuple[Flow[Any], ...], clock: Clock) -> Any:
    """Run flows as tasks; the first that ends cancels the others, and its end is the race's."""
    ends = await _ends(flows, clock, lambda _: True)
    _, result, error = ends[0]
    try:
        if error is not None:
            raise error
    finally:
        ends.clear()
        del error
    return result


End = tuple[int, Any, BaseException | None]
"""How a flow has ended: which one, its result, its error."""


async def _ends(
    flows: tuple[Flow[Any], ...], clock: Clock, enough: Callable[[BaseException | None], bool]
) -> list[End]:
    """Run flows as tasks until all have ended, or one has ended so that the others are cancelled; first ends first."""
    ends: list[End] = []
    cancelled = anyio.get_cancelled_exc_class()

    async def one(i: int, group: anyio.abc.TaskGroup) -> None:
        try:
            result = await arun(flows[i], clock)
        except cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - raised by the caller, without the group's wrapping
            ends.append((i, None, error))
        else:
            ends.append((i, result, None))
        if enough(ends[-1][2]):
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for i in range(len(flows)):
            group.start_soon(one, i, group)
    return ends
