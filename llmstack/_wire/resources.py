"""The SDK's resources with two names exchanged: the function that transforms a body, and what it is posted with.

``client.chat.completions.create`` is the SDK's own function, line by line, as are its arguments, checks and what comes
after: it only finds another `maybe_transform` among its globals. The SDK's modules are left as they are, for whoever
uses them besides us. What somebody has wrapped around a method, as programs that trace calls do, stays around it.
"""

from __future__ import annotations

import sys
from functools import cache, update_wrapper
from types import CellType, FunctionType
from typing import Any, Final

from llmstack._wire.encode import BY_SDK, body_of
from llmstack._wire.genuine import OPENAI, is_genuine
from llmstack._wire.posting import post_of
from llmstack._wire.sdk import AsyncAPIResource, SyncAPIResource
from llmstack._wire.sdk_hot import sdk_transform
from llmstack._wire.superseded import peeled

__all__ = ["hastened"]

_NOTHING: Final = frozenset[str]()
_METHODS: Final = ("create", "parse")


def _body(given: object, kind: object) -> Any:
    body = body_of(given, kind)
    return sdk_transform.maybe_transform(given, kind) if body is BY_SDK else body


async def _abody(given: object, kind: object) -> Any:
    body = body_of(given, kind)
    return await sdk_transform.async_maybe_transform(given, kind) if body is BY_SDK else body


def hastened(resource: Any, client: Any) -> Any:
    """One of a client's resources, made anew to transform bodies faster.

    Args:
        resource: The resource, as the SDK has made it.
        client: The client.

    Returns:
        The new one; what is no resource of the SDK's, such as a mock that a test has put there, as it is.
    """
    kind: Any = type(resource)
    return _hastened(kind)(client) if issubclass(kind, (SyncAPIResource, AsyncAPIResource)) else resource


@cache
def _hastened(resource: type) -> Any:
    """A subclass of one of the SDK's resource classes that transforms bodies faster.

    Args:
        resource: The SDK's class.

    Returns:
        The subclass. Its methods are those of the class, at any time.
    """
    own: dict[str, Any] = {name: _Method(resource, name) for name in _METHODS if name in vars(resource)}

    initialized: Any = resource.__init__  # type: ignore[misc]

    def begin(self: Any, client: Any) -> None:
        initialized(self, client)
        self._post = post_of(client)

    own |= {"__doc__": resource.__doc__, "__module__": __name__, "__init__": begin}
    return type(resource.__name__, (resource,), own)


class _Method:
    """A method of a resource as it is now, ending in our transform if it is known to end in the SDK's."""

    def __init__(self, resource: type, name: str) -> None:
        self._of = vars(resource)
        self._name = name
        self._made: tuple[Any, dict[frozenset[str], Any]] = (None, {})
        self.__doc__ = self._of[name].__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        present: Any = self._of.get(self._name)
        made = self._made
        if made[0] is not present:
            made = self._made = (present, {})  # both at once: another thread must not see one without the other
        superseded = _NOTHING if instance is None else instance._client.llmstack_superseded  # noqa: SLF001 - the SDK's
        ours = made[1].get(superseded)
        if ours is None:
            inner = peeled(present, superseded)
            ours = made[1].setdefault(superseded, _rebound(inner) or inner)
        if type(ours) is FunctionType:
            return ours.__get__(instance, owner)
        # A proxy binds itself in its own way; a mock does not, and is called without the instance.
        bind: Any = getattr(type(ours), "__get__", None)
        return ours if bind is None else bind(ours, instance, owner)


def _rebound(function: object) -> Any:
    """A copy of a function of the SDK's that finds our transform where it looks for the SDK's.

    Of what somebody has wrapped around it there is a copy, too, that calls this one: it is theirs in all else.

    Returns:
        The copy; None if that cannot be made, or the function does not transform.
    """
    if type(function) is not FunctionType:
        return None
    wrapped = vars(function).get("__wrapped__")
    cells, names = function.__closure__, function.__globals__
    if wrapped is not None:
        rebound = _rebound(wrapped)
        if rebound is None or cells is None or not any(_holds(cell, wrapped) for cell in cells):
            return None
        cells = tuple(CellType(rebound) if _holds(cell, wrapped) else cell for cell in cells)
    elif is_genuine(function, OPENAI):
        names, rebound = _names(function.__module__), None
    else:
        return None
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)
    update_wrapper(copy, function)
    copy.__kwdefaults__ = function.__kwdefaults__
    if rebound is None:
        del copy.__dict__["__wrapped__"]
    else:
        copy.__dict__["__wrapped__"] = rebound
    return copy


def _holds(cell: CellType, value: object) -> bool:
    try:
        return cell.cell_contents is value
    except ValueError:  # an empty one
        return False


@cache
def _names(module: str) -> dict[str, Any]:
    """The globals of one of the SDK's modules, with ours in place of those that transform."""
    names = dict(vars(sys.modules[module]))
    ours: dict[str, Any] = {"maybe_transform": _body, "async_maybe_transform": _abody}
    for name in ("parse", "async_parse"):
        helper = names.get(name)
        if isinstance(helper, FunctionType) and helper.__module__ != module:
            ours[name] = _rebound(helper) or helper
    names.update({name: function for name, function in ours.items() if name in names})
    return names
