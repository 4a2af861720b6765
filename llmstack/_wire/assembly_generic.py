"""Streams of other endpoints: kept, watched for errors, usage and the end, but not understood further."""

from __future__ import annotations

from typing import Any, Final

from llmstack._wire.assembly_base import LIMIT, Assembly
from llmstack._wire.sse import ServerSentEvent

__all__ = ["GenericAssembly"]

_LAST: Final = {
    "audio.speech": "speech.audio.done",
    "audio.transcriptions": "transcript.text.done",
    "images.edits": "image_edit.completed",
    "images.generations": "image_generation.completed",
}
"""The event that closes a stream which has no [DONE] (OpenAI API reference, streaming events of each endpoint)."""


class GenericAssembly(Assembly):
    """Any event but [DONE] counts as content; there is a body only if the stream is a single event."""

    __slots__ = ("_terminated",)

    def __init__(self, endpoint: str, *, limit: int = LIMIT) -> None:
        """Start before the first event.

        Parameters:
            endpoint: The endpoint, for the way its streams end.
            limit: How many characters of data to keep.
        """
        super().__init__(limit=limit, marker=_LAST.get(endpoint))
        # Assistants streams end with [DONE] too, so that their end alone does not make them whole.
        self._terminated = self._marker is not None or endpoint.startswith("threads")

    def complete(self) -> bool:
        """Tell whether the reply is whole.

        Returns:
            True if the end marker was seen or, where the endpoint has none, the end of the stream.
        """
        self.body()  # finds malformed events
        return not self._failed and (self.done or (self._ended and not self._terminated))

    def _inspect(self, event: ServerSentEvent) -> object | None:
        if not event.data.startswith("[DONE]"):
            self.content = True
        return super()._inspect(event)

    def _study(self, event: ServerSentEvent, value: dict[str, Any]) -> object | None:
        if self._marker is not None and self._marker in (event.event, value.get("type")):
            self.done = True
        for holder in (value, value.get("response"), value.get("data")):
            if isinstance(holder, dict) and isinstance(usage := holder.get("usage"), dict):
                self._usage = usage
                break
        return None

    def _merge(self) -> dict[str, Any] | None:
        count = sum(not event.data.startswith("[DONE]") for event in self._events)
        values = self._values()
        return values[0] if count == len(values) == 1 else None
