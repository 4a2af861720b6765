"""Keys that a transport sends: a text, or a function that gives the one to use now."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from llmstack.errors import OptionError, UnsupportedError

__all__ = ["Key", "KeyFunction", "key_for"]

KeyFunction: TypeAlias = Callable[[], str | Awaitable[str]]
"""Gives a key or a token each time it is asked; it may be async, for async programs."""


Key: TypeAlias = str | KeyFunction
"""A key, or the function that gives it."""


def key_for(option: str, key: Key, *, asynchronous: bool) -> Any:
    """A key as the SDK's clients take it.

    Args:
        option: What it was given as, for errors.
        key: The key, or the function that gives it.
        asynchronous: True for an async client.
    """
    if isinstance(key, str):
        return key
    return _async_key(option, key) if asynchronous else _sync_key(option, key)


def _sync_key(option: str, function: KeyFunction) -> Callable[[], str]:
    def key() -> str:
        given = function()
        if inspect.isawaitable(given):
            if isinstance(given, Coroutine):
                given.close()  # else Python warns that nobody awaited it
            message = f"the function given as {option}= is async: it can serve async clients only"
            raise UnsupportedError(message)
        return _checked(option, given)

    return key


def _async_key(option: str, function: KeyFunction) -> Callable[[], Coroutine[Any, Any, str]]:
    async def key() -> str:
        given = function()
        return _checked(option, await given if inspect.isawaitable(given) else given)

    return key


def _checked(option: str, given: object) -> str:
    if isinstance(given, str) and given:
        return given
    shown = "an empty text" if given == "" else type(given).__name__
    raise OptionError(f"the function given as {option}= must return a key, but returned {shown}")
