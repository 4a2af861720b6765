"""A response that is made when somebody looks at it.

Of an answer that becomes a model, nobody looks at the HTTP response; making one costs as much as parsing the answer ten
times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsIndex

import httpx2

__all__ = ["LateResponse"]


class LateResponse(httpx2.Response):
    """An ``httpx2.Response`` that was not needed yet; at the first look it is one in every way."""

    def __init__(self, make: Callable[[], httpx2.Response]) -> None:
        """Take what makes the response; it may be called more than once, by several threads."""
        self.__dict__["_make"] = make

    def __getattr__(self, name: str) -> Any:
        """What is not there yet: the response is made."""
        return getattr(self._made(), name)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> str | tuple[Any, ...]:
        """What is pickled or copied: the response."""
        return self._made().__reduce_ex__(protocol)

    def _made(self) -> httpx2.Response:
        make = self.__dict__.get("_make")
        if make is not None:
            self.__dict__.update(vars(make()))
            self.__dict__.pop("_make", None)
        self.__class__ = httpx2.Response  # type: ignore[assignment]
        return self
