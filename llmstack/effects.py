"""Effects for layers: what a generator asks of the world with ``yield from``.

    from llmstack.effects import sleep

    def llmstack_call(self, call, next):
        yield from sleep(0.5)
        return (yield from next(call))

The same line blocks in a sync program and suspends the task in an async one. `drive` and `adrive` run a flow that
belongs to no call, such as a question to a store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from llmstack._core.effects import Effect, Emit, Flow, Next, Now, Parallel, Race, RaceLost, Run, Sleep, Wait
from llmstack._core.events import Event
from llmstack._drivers.outside import adrive, drive

__all__ = [
    "Effect",
    "Flow",
    "Next",
    "RaceLost",
    "adrive",
    "drive",
    "emit",
    "monotonic",
    "now",
    "parallel",
    "race",
    "run",
    "sleep",
    "wait",
]

T = TypeVar("T")

# Layers read the clock several times in each call, and it is the same effect each time.
_MONOTONIC = Now()
_TIME = Now(wall=True)


def sleep(seconds: float) -> Flow[None]:
    """Wait for some seconds.

    Args:
        seconds: How long; zero or less only gives way to others.
    """
    yield Sleep(seconds)


def run(
    sync_fn: Callable[[], T], async_fn: Callable[[], Awaitable[T]] | None = None, *, shield: bool = False
) -> Flow[T]:
    """Do I/O of one's own.

    Args:
        sync_fn: Called in a sync program.
        async_fn: Called and awaited in an async program. If not given, `sync_fn` is called there too: it must
            then be quick, since it holds up the event loop.
        shield: True if a cancellation must not interrupt it, such as settling an account.

    Returns:
        The function's result.

    Raises:
        Exception: What the function raises.
    """
    result: T = yield Run(sync_fn, async_fn, shield)
    return result


def wait(future: Future[T], timeout: float | None = None) -> Flow[T]:
    """Wait for a future that another thread or task will set.

    Args:
        future: A ``concurrent.futures.Future``.
        timeout: Seconds to wait at most, of real time whatever the stack's clock; None for no limit.

    Returns:
        Its result.

    Raises:
        TimeoutError: If it has not been set in time. It may be set later, and be waited for again.
        Exception: Its error.
    """
    result: T = yield Wait(future, timeout)
    return result


def parallel(*flows: Flow[T]) -> Flow[list[T]]:
    """Run several flows at once: threads in a sync program, tasks in an async one.

    A streamed call sent inside one is read to its end there.

    Args:
        flows: Generators, such as ``next(call)``.

    Returns:
        Their results, in order.

    Raises:
        Exception: The first error; the other flows are cancelled (async) or waited for (sync) before.
    """
    results: list[T] = yield Parallel(flows)
    return results


def race(*flows: Flow[T]) -> Flow[T]:
    """Run several flows at once and take the first that ends, be it with a result or with an error.

    In an async program the others are cancelled: their connections are closed. In a sync program they cannot be: each
    is abandoned in its thread. What it has sent goes on there until the answer is read or its time-out comes; then its
    layers settle their accounts, but it sends, sleeps and waits no more (`RaceLost` is thrown at it). A streamed call
    sent inside one is read to its end there.

    Args:
        flows: Generators, such as ``next(call)``; at least one.

    Returns:
        The result of the first that ended.

    Raises:
        ValueError: If there is no flow.
        Exception: The error of the first that ended.
    """
    if not flows:
        raise ValueError("race() takes at least one flow: of none, none ends first")
    result: T = yield Race(flows)
    return result


def emit(event: Event) -> Flow[None]:
    """Tell all observers that something happened.

    Args:
        event: Any `llmstack.events.Event`, also a subclass of your own. Put no content and no key into it.
    """
    yield Emit(event)


def monotonic() -> Flow[float]:
    """Read the stack's clock.

    Returns:
        Seconds that never run backwards; only differences mean anything.
    """
    now: float = yield _MONOTONIC
    return now


def now() -> Flow[float]:
    """Read the time of day from the stack's clock.

    Returns:
        Seconds since the epoch, UTC. It may jump: for durations use `monotonic`.
    """
    seconds: float = yield _TIME
    return seconds
