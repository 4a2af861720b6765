"""Putting a response together from its events.

The terminal event holds the whole response. Only for a stream cut short is it rebuilt, in `partial_response`.
"""

from __future__ import annotations

from typing import Any, Final

from llmstack._wire.assembly_base import LIMIT, Assembly
from llmstack._wire.jsontext import is_json
from llmstack._wire.partial_response import partial
from llmstack._wire.sse import ServerSentEvent

__all__ = ["ResponsesAssembly"]

_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})

_TEXT: Final = ("text", "refusal", "arguments", "input", "code", "command", "output", "partial_image_b64")
"""Where an event that ends a piece of the answer has it."""

_ITEM: Final = (*_TEXT, "content", "summary", "result")
"""Where a finished output item or part has it."""


class ResponsesAssembly(Assembly):
    """Assembles the events of `responses`."""

    __slots__ = ("_last",)

    def __init__(self, *, limit: int = LIMIT) -> None:
        """Start before the first event.

        Parameters:
            limit: How many characters of data to keep.
        """
        super().__init__(limit=limit, marker='"response"')
        self._last: dict[str, Any] | None = None  # the terminal event's response

    def complete(self) -> bool:
        """Tell whether the reply is whole.

        Returns:
            True if a terminal event came and everything could be read.
        """
        self.body()  # finds malformed events
        return self.done and not self._failed

    def _study(self, event: ServerSentEvent, value: dict[str, Any]) -> object | None:
        kind = value.get("type")
        if not isinstance(kind, str):
            kind = event.event or ""
        if kind == "error":
            self._failed = True
            return value
        response = value.get("response")
        if isinstance(response, dict) and isinstance(usage := response.get("usage"), dict):
            self._usage = usage
        if kind in _TERMINAL:
            self.content = self.done = True
            if isinstance(response, dict):
                self._last = response
        elif not self.content:
            self.content = _carries(kind, value)
        return None

    def _merge(self) -> dict[str, Any] | None:
        if self._last is None:
            return partial(self._values())
        if not isinstance(self._last.get("output"), list):
            # Seen in the wild, and mended by the SDK in the same way: the items are in their own events only.
            return {**self._last, "output": (partial(self._values()) or {}).get("output", [])}
        self._failed = self._failed or not (self.sound or all(is_json(event.data) for event in self._read()))
        return self._last


def _carries(kind: str, value: dict[str, Any]) -> bool:
    """Tell whether an event has something of the answer in it."""
    if kind.endswith(".delta"):
        return True
    if not kind.endswith((".done", ".partial_image")):
        return False
    if any(value.get(key) for key in _TEXT):
        return True
    whole = value.get("item") or value.get("part")
    return isinstance(whole, dict) and any(whole.get(key) for key in _ITEM)
