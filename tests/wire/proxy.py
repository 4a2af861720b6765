"""A wrapper as instrumentation of the SDK makes it with ``wrapt``: a proxy that passes for the function in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Proxy"]


class Proxy:
    """Calls a function and tells of it; it says of itself, and equals, what the function does."""

    def __init__(self, function: Callable[..., Any], told: list[str]) -> None:
        object.__setattr__(self, "_self_inner", function)
        object.__setattr__(self, "_self_told", told)

    @property
    def __class__(self):  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._self_inner)

    @property
    def __dict__(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return vars(object.__getattribute__(self, "_self_inner"))

    def __getattribute__(self, name):
        if name in ("_self_inner", "_self_told", "__class__", "__dict__"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_self_inner"), name)

    def __eq__(self, other):
        return self._self_inner == other

    def __hash__(self):
        return hash(self._self_inner)

    def __get__(self, instance, owner=None):
        return Proxy(self._self_inner.__get__(instance, owner), self._self_told)

    def __call__(self, *args, **more):
        self._self_told.append(self._self_inner.__name__)
        return self._self_inner(*args, **more)
