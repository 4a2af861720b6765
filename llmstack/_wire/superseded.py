"""What a stack's plugins supersede: functions that packages of instrumentation have put around others."""

from __future__ import annotations

from collections.abc import Collection
from types import FunctionType
from typing import Any

__all__ = ["all_of", "peeled"]


def peeled(function: Any, packages: Collection[str]) -> Any:
    """A function without what packages have wrapped around it, up to the first wrapper of somebody else's.

    Args:
        function: The function as it is found.
        packages: Import names, such as ``"sentry_sdk"``.
    """
    while packages and type(function) is FunctionType:
        inner = _inside(function) if _home(function) in packages else None
        if inner is None:
            break
        function = inner
    return function


def all_of(functions: Collection[Any], packages: Collection[str]) -> bool:
    """Whether functions are all from some packages, and there is any.

    Args:
        functions: They.
        packages: Import names.
    """
    return bool(functions) and all(type(one) is FunctionType and _home(one) in packages for one in functions)


def _home(function: FunctionType) -> str:
    """The package that a function is from. Not by its `__module__`: a good wrapper has that of what it wraps."""
    name: str = function.__globals__.get("__name__", "")
    return name.partition(".")[0]


def _inside(wrapper: FunctionType) -> Any:
    """What a wrapper says that it wraps, or else the one function of its own name that it holds; None if unknown."""
    said = vars(wrapper).get("__wrapped__")
    if said is not None:
        return said
    held = [cell.cell_contents for cell in wrapper.__closure__ or ()]
    alike = [one for one in held if type(one) is FunctionType and one.__name__ == wrapper.__name__]
    return alike[0] if len(alike) == 1 else None
