"""The sync driver: runs a flow in this thread."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

from llmstack._core.effects import Effect, Flow, Parallel, Race, Run, Sleep, Wait
from llmstack._core.transport import Clock
from llmstack._drivers.clock import SystemClock

T = TypeVar("T")


def run(flow: Flow[T], clock: Clock) -> T:
    """Run a flow to its end.

    An interruption (KeyboardInterrupt, SystemExit) is thrown into the flow so that it closes its books, and is
    raised again at the end whatever the flow made of it.

    Args:
        flow: The flow.
        clock: Time for its sleeps.

    Returns:
        What the flow returns.

    Raises:
        BaseException: What the flow raises, or the interruption.
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
                value = _perform(effect, clock)
            except BaseException as caught:  # noqa: BLE001 - the flow decides what an error means
                error = caught
                if not isinstance(caught, Exception):
                    interruption = caught
    finally:
        # An error kept in a frame that its own traceback holds is a cycle that delays clean-up.
        error = interruption = None


def _perform(effect: Effect, clock: Clock) -> Any:
    if type(effect) is Run:
        return effect.sync_fn()
    if type(effect) is Sleep:
        return clock.sleep(max(0.0, effect.seconds))
    if type(effect) is Wait:
        return effect.future.result(effect.timeout)
    if type(effect) is Parallel:
        return _parallel(effect.flows, clock)
    if type(effect) is Race:
        return _race(effect.flows, clock)
    message = f"no sync driver for {type(effect).__name__}"
    raise TypeError(message)


def _parallel(flows: tuple[Flow[Any], ...], clock: Clock) -> list[Any]:
    """Run flows in threads, each with a copy of this context; all end before the first error is raised."""
    if not flows:
        return []
    failed: list[BaseException] = []

    def start(flow: Flow[Any]) -> Callable[[], Any]:
        context = contextvars.copy_context()

        def branch() -> Any:
            try:
                return context.run(run, flow, clock)
            except BaseException as error:  # noqa: BLE001 - raised below: the first in time, not in order
                failed.append(error)

        return branch

    with ThreadPoolExecutor(len(flows), thread_name_prefix="llmstack-parallel") as pool:
        futures = [pool.submit(start(flow)) for flow in flows]
    if failed:
        try:
            raise failed[0]
        finally:
            failed.clear()  # they hold this frame
    return [future.result() for future in futures]


class _Racing(SystemClock):
    """The system's time, for those who race: nobody sleeps once it is over."""

    __slots__ = ("_over",)

    def __init__(self, over: threading.Event) -> None:
        self._over = over

    def sleep(self, seconds: float) -> None:
        """Block this thread for so long, or until the race is over: whoever goes on then has lost it."""
        self._over.wait(seconds)


def _race(flows: tuple[Flow[Any], ...], clock: Clock) -> Any:
    """Run flows in threads, each with a copy of this context; the end of the first is the race's.

    The threads of the others go on, since nothing can stop them, but do not sleep any more. A program that ends does
    not wait for them.
    """
    ends: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    won = threading.Lock()
    over = threading.Event()
    time = _Racing(over) if isinstance(clock, SystemClock) else clock

    def start(flow: Flow[Any]) -> Callable[[], None]:
        context = contextvars.copy_context()

        def branch() -> None:
            end: tuple[Any, BaseException | None] = (None, None)
            try:
                end = (context.run(run, flow, time), None)
            except BaseException as error:  # noqa: BLE001 - raised below, if it is the first end
                end = (None, error)
            if won.acquire(blocking=False):
                ends.put(end)
            del end  # its error holds this frame

        return branch

    for branch in [start(flow) for flow in flows]:
        threading.Thread(target=branch, name="llmstack-race", daemon=True).start()
    try:
        result, error = ends.get()
    finally:
        over.set()
    try:
        if error is not None:
            raise error
    finally:
        del error  # it holds this frame
    return result
