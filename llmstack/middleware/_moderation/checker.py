"""Checkers: judges of the program's own."""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from numbers import Real
from typing import Any, Protocol, cast, runtime_checkable

import anyio
import anyio.to_thread
import sniffio

from llmstack import Flow
from llmstack.effects import run
from llmstack.middleware._moderation.verdict import CLEAN, Verdict

__all__ = ["Checker", "checked", "name_of"]


@runtime_checkable
class Checker(Protocol):
    """Judges a text. `check` may be async; ``name`` (else the class's) is the verdict's source.

    Set ``cached = False`` on one whose verdict on the same text may change.
    """

    def check(self, text: str, /) -> Verdict | Awaitable[Verdict | None] | None:
        """Judge a text.

        Args:
            text: What is asked or answered.

        Returns:
            The verdict; None if there is nothing to say against the text.
        """
        ...


def name_of(checker: Checker) -> str:
    """What a checker is called in events and errors."""
    name = getattr(checker, "name", None)
    return name if isinstance(name, str) and name else type(checker).__name__.lower()


def checked(checker: Checker, text: str, timeout: float) -> Flow[Verdict]:
    """Ask a checker: in this thread or task, a sync one beside the event loop of an async program.

    Args:
        checker: Whom.
        text: About what.
        timeout: Seconds that it may take; a function in a sync program cannot be stopped.

    Raises:
        TypeError: If it answers something else than a verdict.
        TimeoutError: If it takes too long.
    """
    if timeout <= 0:
        raise TimeoutError(f"there was no time left to ask checker {name_of(checker)!r}")
    verdict: Any = yield from run(partial(_in_sync, checker, text, timeout), partial(_in_async, checker, text, timeout))
    return CLEAN if verdict is None else _read(name_of(checker), verdict)


def _read(name: str, verdict: Any) -> Verdict:
    """A verdict as it should be, whatever kinds of numbers and lists the checker has put in it."""
    if not isinstance(verdict, Verdict):
        raise TypeError(f"checker {name!r} answered {type(verdict).__name__}; answer a Verdict or None")
    categories: Any = verdict.categories
    if isinstance(categories, str) or not all(isinstance(category, str) for category in categories):
        raise TypeError(f"checker {name!r} answered a verdict whose categories are no list of names")
    scores: Mapping[Any, Any] = verdict.scores
    for category, score in scores.items():
        if not isinstance(category, str) or not isinstance(score, Real) or not math.isfinite(score):
            raise TypeError(f"checker {name!r} scored {category!r} with no number")
    return Verdict(bool(verdict.flagged), tuple(categories), {name: float(score) for name, score in scores.items()})


def _in_sync(checker: Checker, text: str, timeout: float) -> Any:
    result = checker.check(text)
    if not inspect.isawaitable(result):
        return result
    coroutine: Callable[[], Coroutine[Any, Any, Any]] = partial(_awaited, result, timeout)
    try:
        sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return anyio.run(coroutine)
    return _in_thread(coroutine)  # a sync client that is used inside an event loop


def _in_thread(coroutine: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Await in an event loop of another thread."""
    results: list[Any] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(asyncio.run(coroutine()))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            failures.append(error)

    thread = threading.Thread(target=work, name="llmstack-checker")
    thread.start()
    thread.join()
    if failures:
        raise failures.pop()
    return results.pop()


async def _awaited(result: Awaitable[Any], timeout: float) -> Any:  # noqa: ASYNC109 - what it bounds is given to it
    with anyio.fail_after(timeout):
        return await result


async def _in_async(checker: Checker, text: str, timeout: float) -> Any:  # noqa: ASYNC109 - what it bounds is given to it
    with anyio.fail_after(timeout):
        if inspect.iscoroutinefunction(inspect.unwrap(cast("Any", checker.check))):
            return await cast("Awaitable[Any]", checker.check(text))
        result = await anyio.to_thread.run_sync(checker.check, text, abandon_on_cancel=True)
        return await result if inspect.isawaitable(result) else result
