"""A response that is made when somebody looks at it.

Of an answer that becomes a model, or a stream of them, nobody looks at the HTTP response; making one costs as much as
parsing the answer ten times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsIndex

import httpx2

__all__ = ["LateResponse"]


class LateResponse(httpx2.Response):
    """An ``httpx2.Response`` that was not needed yet; at the first look it is one in every way."""

    def __init__(self, make: Callable[[], httpx2.Response], **known: Any) -> None:
        """Take what makes the response; it may be called more than once, by several threads.

        Args:
            make: Makes it.
            known: Attributes that it has already, and keeps.
        """
        self.__dict__.update(known, _make=make)

    def __getattr__(self, name: str) -> Any:
        """What is not there yet: the response is made."""
        return getattr(self._made(), name)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> str | tuple[Any, ...]:
        """What is pickled or copied: the response."""
        return self._made().__reduce_ex__(protocol)

    def close(self) -> None:
        """Close it; a stream's is closed without having been looked at."""
        if "_make" not in self.__dict__ or not isinstance(self.stream, httpx2.SyncByteStream):
            self._made().close()
        elif not self.is_closed:
            self.is_closed = True
            try:
                self.stream.close()
            except httpx2.RequestError as error:
                error.request = self.request
                raise

    async def aclose(self) -> None:
        """The same in an async program."""
        if "_make" not in self.__dict__ or not isinstance(self.stream, httpx2.AsyncByteStream):
            await self._made().aclose()
        elif not self.is_closed:
            self.is_closed = True
            try:
                await self.stream.aclose()
            except httpx2.RequestError as error:
                error.request = self.request
                raise

    def _made(self) -> httpx2.Response:
        make = self.__dict__.get("_make")
        if make is not None:
            for name, value in vars(make()).items():
                self.__dict__.setdefault(name, value)
            self.__dict__.pop("_make", None)
        self.__class__ = httpx2.Response  # type: ignore[assignment]
        return self
