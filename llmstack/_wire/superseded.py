"""What a stack's plugins supersede: functions that packages of instrumentation have put around others."""

from __future__ import annotations

from collections.abc import Collection
from types import FunctionType
from typing import Any

__all__ = ["peeled"]


def peeled(function: Any, packages: Collection[str]) -> Any:
    """A function without what packages have wrapped around it, up to the first wrapper of somebody else's.

    Args:
        function: The function as it is found.
        packages: Import names, such as ``"sentry_sdk"``.
    """
    while packages and isinstance(function, FunctionType):
        # Not its `__module__`: a wrapper that is well made has that of what it wraps.
        home: str = function.__globals__.get("__name__", "")
        inner = _inside(function) if home.partition(".")[0] in packages else None
        if inner is None:
            break
        function = inner
    return function


def _inside(wrapper: FunctionType) -> Any:
    """What a wrapper says that it wraps, or else the one function of its own name that it holds; None if unknown."""
    said = vars(wrapper).get("__wrapped__")
    if said is not None:
        return said
    held = [cell.cell_contents for cell in wrapper.__closure__ or ()]
    alike = [one for one in held if isinstance(one, FunctionType) and one.__name__ == wrapper.__name__]
    return alike[0] if len(alike) == 1 else None
