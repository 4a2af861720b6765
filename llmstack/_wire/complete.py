"""Models that are complete before the first answer is parsed into them.

The SDK's models are built when they are first needed. Before 2.14 pydantic builds them without a lock: where several
threads get their first answers at the same time, one may meet a model that another is just building, and its answer,
paid for, ends in "BaseModel cannot be instantiated directly". (Source: pydantic's pull request 13438.)
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, get_args

from openai import BaseModel
from pydantic import VERSION

from llmstack.locks import fork_safe_lock

__all__ = ["complete"]

_LOCKED: Final = (2, 14)
"""The first version of pydantic that builds one model at a time."""

_needed: Final = tuple(map(int, VERSION.split(".")[:2])) < _LOCKED
_lock: Final = fork_safe_lock()
_complete: Final[set[Any]] = set()


def complete(kind: Any) -> None:
    """Build all models that an answer of a type can be made of, unless that is done, or pydantic does it safely.

    Args:
        kind: What the SDK parses into: a model, a union, or a stream class of either.
    """
    if _needed and isinstance(kind, Hashable) and kind not in _complete:
        with _lock:
            models: dict[type[BaseModel], None] = {}
            _gather(kind, models)
            for model in models:
                model.model_rebuild(raise_errors=False)
            _complete.add(kind)


def _gather(kind: Any, found: dict[type[BaseModel], None]) -> None:
    for part in get_args(kind):
        _gather(part, found)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in found:
        found[kind] = None
        for field in kind.model_fields.values():
            _gather(field.annotation, found)
