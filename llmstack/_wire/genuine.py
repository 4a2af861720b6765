"""Genuine functions: a library's own, with nothing of somebody else's around them.

Instrumentation wraps functions in functions, or in proxies such as those of ``wrapt`` (OpenTelemetry's and Datadog's
are), and tests put mocks in their place. A proxy says of itself what the function in it says: that it is a function,
its code, its module, that it equals the function. Only ``type`` and ``is`` tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from pathlib import Path
from types import FunctionType
from typing import Any, Final

import httpcore2
import httpx2
import openai

__all__ = ["HTTP", "OPENAI", "OURS", "are_these", "is_genuine", "is_one_of"]

OPENAI: Final = str(Path(openai.__file__).parent)
HTTP: Final = tuple(str(Path(library.__file__ or "").parent) for library in (httpx2, httpcore2))
OURS: Final = str(Path(__file__).parent.parent)


def is_genuine(function: object, *homes: str) -> bool:
    """Whether something is a function itself, written in a library.

    Args:
        function: What was found.
        homes: The folders of the library.
    """
    return type(function) is FunctionType and function.__code__.co_filename.startswith(homes)


def are_these(found: Sequence[Any], known: Sequence[Any]) -> bool:
    """Whether as many things are the very same as those that are known, one by one: to be equal is not enough."""
    return all(map(is_, found, known))


def is_one_of(found: Sequence[Any], known: Sequence[Sequence[Any]]) -> bool:
    """Whether what was found is one of several that are known; see `are_these`."""
    for these in known:  # noqa: SIM110 - each call asks this: a loop is quicker than `any`
        if all(map(is_, found, these)):
            return True
    return False
