"""Where the state of conversations is kept, for a server of chat completions keeps none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cachetools import TTLCache

from llmstack._wire.jsontext import parse, write

__all__ = ["MemoryResponses", "ResponseStore", "StoredResponse"]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response and the conversation that it answered. Both are JSON: a store may write them anywhere.

    Attributes:
        response: The body of the response.
        input: The items of the whole conversation before it, oldest first, instructions excluded.
    """

    response: Mapping[str, Any] = field(repr=False)
    input: Sequence[Mapping[str, Any]] = field(repr=False)

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """The conversation up to and with the response: what the next request goes on from."""
        return [*self.input, *self.response.get("output", ())]


class ResponseStore(Protocol):
    """Keeps responses by tenant and id. It is asked in the midst of calls, in an event loop too: it must not block."""

    def get(self, id: str, /, *, tenant: str | None) -> StoredResponse | None:  # noqa: A002 - what the API calls it
        """The response that was put there for the same tenant; None if it is not, or no longer, there."""
        ...

    def put(self, id: str, stored: StoredResponse, /, *, tenant: str | None) -> None:  # noqa: A002 - likewise
        """Keep a response, in place of one of the same id if there is one."""
        ...


class MemoryResponses:
    """Keeps responses in this process's memory, the latest used, for a while. Threads and event loops may share it.

    Args:
        max_bytes: Bytes of JSON to keep at most; a conversation that is larger than all of that is not kept.
        ttl: Seconds that a response is kept.
        clock: Tells the seconds; for tests.

    Raises:
        ValueError: If a bound is not above 0.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 64 * 1024 * 1024,
        ttl: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (max_bytes > 0 and ttl > 0):
            raise ValueError(f"max_bytes and ttl must be above 0, not {max_bytes!r} and {ttl!r}")
        self._lock = threading.Lock()
        # As text: what a program changes afterwards in its own objects is not what was said.
        self._kept: TTLCache[tuple[str | None, str], bytes] = TTLCache(max_bytes, ttl, timer=clock, getsizeof=len)

    def get(self, id: str, /, *, tenant: str | None) -> StoredResponse | None:  # noqa: A002 - what the API calls it
        """The response that was put there for the same tenant; None if it is not, or no longer, there."""
        with self._lock:
            kept = self._kept.get((tenant, id))
        return None if kept is None else StoredResponse(**parse(kept.decode("utf-8", "surrogatepass")))

    def put(self, id: str, stored: StoredResponse, /, *, tenant: str | None) -> None:  # noqa: A002 - likewise
        """Keep a response, in place of one of the same id if there is one."""
        text = write({"response": stored.response, "input": stored.input}).encode("utf-8", "surrogatepass")
        with self._lock:
            self._kept.pop((tenant, id), None)
            if len(text) <= self._kept.maxsize:
                self._kept[tenant, id] = text

    def __len__(self) -> int:
        """How many responses are kept now."""
        with self._lock:
            self._kept.expire()
            return len(self._kept)

    def __repr__(self) -> str:
        """Numbers only: what is kept is private."""
        return f"<MemoryResponses {len(self)} kept>"
