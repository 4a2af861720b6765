"""The SDK's resources with one name exchanged: the function that transforms a body.

``client.chat.completions.create`` is the SDK's own function, line by line, as are its arguments, checks and what comes
after: it only finds another `maybe_transform` among its globals. The SDK's modules are left as they are, for whoever
uses them besides us. And who has put something of theirs in the place of a method, as programs that trace calls do,
finds it called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, update_wrapper
from pathlib import Path
from types import CellType, FunctionType
from typing import Any, Final

import openai

from llmstack._wire.encode import BY_SDK, body_of
from llmstack._wire.sdk_hot import sdk_transform

__all__ = ["hastened"]

_METHODS: Final = ("create", "parse")
_HOME: Final = str(Path(openai.__file__).parent)


def _body(given: object, kind: object) -> Any:
    body = body_of(given, kind)
    return sdk_transform.maybe_transform(given, kind) if body is BY_SDK else body


async def _abody(given: object, kind: object) -> Any:
    body = body_of(given, kind)
    return await sdk_transform.async_maybe_transform(given, kind) if body is BY_SDK else body


@cache
def hastened(resource: type) -> Any:
    """A subclass of one of the SDK's resource classes that transforms bodies faster.

    Args:
        resource: The SDK's class.

    Returns:
        The subclass; the class itself if its methods are not what they were.
    """
    methods = {name: vars(resource)[name] for name in _METHODS if name in vars(resource)}
    own = {name: _Method(resource, name, _rebound(method)) for name, method in methods.items() if _is_the_sdks(method)}
    if not own:
        return resource
    return type(resource.__name__, (resource,), {"__doc__": resource.__doc__, "__module__": __name__, **own})


class _Method:
    """A method of a resource: ours, as long as the SDK's is the one that we know."""

    def __init__(self, resource: type, name: str, ours: Any) -> None:
        self._of = vars(resource)
        self._name = name
        self._known = self._of[name]
        self._ours = ours
        self.__doc__ = self._known.__doc__

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        present: Any = self._of.get(self._name)
        return (self._ours if present is self._known else present).__get__(instance, owner)


def _is_the_sdks(method: object) -> bool:
    """Whether a function, and what it wraps, is the SDK's own."""
    while isinstance(method, FunctionType):
        if not method.__code__.co_filename.startswith(_HOME):
            return False
        inner = getattr(method, "__wrapped__", None)
        if inner is None:
            return True
        method = inner
    return False


def _rebound(function: Any) -> Any:
    """A function that finds our transform where it looks for the SDK's."""
    wraps = "__wrapped__" in vars(function)
    names = function.__globals__ if wraps else _names(function.__module__)
    closure = None if function.__closure__ is None else tuple(map(_rebound_cell, function.__closure__))
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, closure)
    update_wrapper(copy, function)
    copy.__kwdefaults__ = function.__kwdefaults__
    if wraps:
        copy.__dict__["__wrapped__"] = _rebound(function.__wrapped__)
    else:
        del copy.__dict__["__wrapped__"]
    return copy


def _rebound_cell(cell: CellType) -> CellType:
    """What a wrapper wraps, rebound; whatever else it holds, as it is."""
    held = cell.cell_contents
    return CellType(_rebound(held)) if _is_the_sdks(held) else cell


@cache
def _names(module: str) -> dict[str, Any]:
    """The globals of one of the SDK's modules, with ours in place of those that transform."""
    names = dict(vars(sys.modules[module]))
    ours: dict[str, Callable[..., Any]] = {"maybe_transform": _body, "async_maybe_transform": _abody}
    for name in ("parse", "async_parse"):
        helper = names.get(name)
        if _is_the_sdks(helper) and helper.__module__ != module:
            ours[name] = _rebound(helper)
    names.update({name: function for name, function in ours.items() if name in names})
    return names
