"""Effects: what a flow asks of the world.

A flow is a generator. It never does I/O; it yields one of these and is resumed with the outcome. The public way to
make them is `llmstack.effects` (``yield from sleep(1.0)``), which types the outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from llmstack._core.call import Call
    from llmstack._core.events import Event
    from llmstack._core.reply import Reply

T = TypeVar("T")


class Effect:
    """Something a flow wants done. Not meant to be subclassed outside: the drivers know them all."""

    __slots__ = ()


def no_effect(given: object) -> TypeError:
    """The error of a flow that has yielded something else.

    Args:
        given: What it has yielded.
    """
    message = f"a flow may yield effects only (`yield from sleep(1)`), not {type(given).__name__}"
    if isinstance(given, Generator):
        message = f"{message}; write `yield from next(call)`, not `yield next(call)`"
    return TypeError(message)


class RaceLost(BaseException):
    """Thrown into a flow that has lost a race but runs in a thread, and so cannot be cancelled.

    It comes when the flow wants to send, sleep or wait. The flow may settle its accounts, no more.
    """


Flow = Generator[Effect, Any, T]
"""A generator that yields effects and returns a `T`."""

Next = Callable[["Call"], "Flow[Reply]"]
"""The rest of the stack, as a layer sees it."""


@dataclass(frozen=True, slots=True)
class Send(Effect):
    """Send the call through the transport; resumed with the complete `Reply`."""

    call: Call


@dataclass(frozen=True, slots=True)
class Sleep(Effect):
    """Wait for some seconds, without holding a thread where the program is async."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Run(Effect):
    """Call a function: `sync_fn` under a sync client, `async_fn` (awaited) under an async one.

    Attributes:
        sync_fn: Called without arguments in a sync program.
        async_fn: Called and awaited in an async program. None: `sync_fn` is quick and is called there too.
        shield: True if a cancellation must not interrupt it (closing a connection, settling the books).
    """

    sync_fn: Callable[[], Any]
    async_fn: Callable[[], Awaitable[Any]] | None = None
    shield: bool = False


@dataclass(frozen=True, slots=True)
class Wait(Effect):
    """Wait for a `concurrent.futures.Future`, set by any thread or task; resumed with its result or error.

    Attributes:
        future: The future.
        timeout: Seconds after which a TimeoutError is thrown instead; None for no limit.
    """

    future: Future[Any]
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Parallel(Effect):
    """Run several flows at once; resumed with their outcomes, in order."""

    flows: tuple[Flow[Any], ...]


@dataclass(frozen=True, slots=True)
class Race(Effect):
    """Run several flows at once; resumed with the outcome of the one that ends first. The others are abandoned."""

    flows: tuple[Flow[Any], ...]


@dataclass(frozen=True, slots=True)
class Emit(Effect):
    """Tell the observers (`llmstack_event`) that something happened."""

    event: Event


@dataclass(frozen=True, slots=True)
class Now(Effect):
    """Read the stack's clock; resumed with seconds.

    Attributes:
        wall: True for the time of day (seconds since the epoch, UTC), False for what never runs backwards.
    """

    wall: bool = False
