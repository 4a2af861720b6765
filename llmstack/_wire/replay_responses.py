"""A whole response as the events of a stream (API reference: "Streaming events" of the Responses API)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmstack._wire.chunk import objects, pieces
from llmstack._wire.jsontext import write
from llmstack._wire.sse import ServerSentEvent

__all__ = ["response_events"]

_TERMINAL: Final = {"completed": "completed", "failed": "failed", "incomplete": "incomplete", "cancelled": "incomplete"}
"""The last event by the response's status; cancelled ones have none of their own."""

_UNTOLD: Final = ("usage", "error", "incomplete_details", "completed_at")
"""What is not known when a response begins."""

_TEXTS: Final = {
    "output_text": ("text", "output_text"),
    "refusal": ("refusal", "refusal"),
    "reasoning_text": ("text", "reasoning_text"),
}
"""Type of a content part: where its text is, and the name of the events that carry it."""

_CALLS: Final = {
    "function_call": ("arguments", "function_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
}
"""Type of an item: likewise."""


def response_events(body: Mapping[str, Any], *, piece: int = 0) -> list[ServerSentEvent]:
    """Make the events of a response.

    Parameters:
        body: The whole response.
        piece: How many characters of text a delta carries, 0 for all.

    Returns:
        The events from response.created to the terminal one, numbered from 0. Items without text of their own are only
        added and done.

    Raises:
        ValueError: The response has not ended, so that no event could end its stream.
    """
    status = body.get("status") or "completed"
    if not isinstance(status, str) or status not in _TERMINAL:
        msg = f"a response that is {status!r} cannot be replayed as a stream"
        raise ValueError(msg)
    begun = {**body, **{key: None for key in _UNTOLD if key in body}, "status": "in_progress", "output": []}
    script = _Script(piece)
    script.add("response.created", response=begun)
    script.add("response.in_progress", response=begun)
    for index, item in enumerate(objects(body.get("output"))):
        script.item(index, item)
    script.add(f"response.{_TERMINAL[status]}", response=dict(body))
    return script.events


class _Script:
    """The events written so far, which number themselves."""

    __slots__ = ("_piece", "events")

    def __init__(self, piece: int) -> None:
        self._piece = piece
        self.events: list[ServerSentEvent] = []

    def add(self, kind: str, **fields: Any) -> None:
        """Write the next event."""
        self.events.append(ServerSentEvent(kind, write({"type": kind, **fields, "sequence_number": len(self.events)})))

    def item(self, index: int, item: dict[str, Any]) -> None:
        """Write the events of an output item."""
        where = {"item_id": item.get("id") or item.get("call_id") or "", "output_index": index}
        kind = str(item.get("type"))
        field, name = _CALLS.get(kind, ("", ""))
        lists = [
            key
            for key in ("summary", "content")
            if kind in ("message", "reasoning") and isinstance(item.get(key), list)
        ]
        begun = {**item, **{key: [] for key in lists}}
        if "status" in item and (lists or field):
            begun["status"] = "in_progress"
        if field:
            begun[field] = ""
        self.add("response.output_item.added", output_index=index, item=begun)
        for key in lists:
            for at, part in enumerate(objects(item[key])):
                if key == "summary":
                    self._summary({**where, "summary_index": at}, part)
                else:
                    self._part({**where, "content_index": at}, part)
        if field:
            text = _text(item, field)
            for delta in pieces(text, self._piece):
                self.add(f"response.{name}.delta", **where, delta=delta)
            # required by openai 3.3's type of the event, gone from 3.52's
            named = {"name": item["name"]} if field == "arguments" and "name" in item else {}
            self.add(f"response.{name}.done", **where, **{field: text}, **named)
        self.add("response.output_item.done", output_index=index, item=item)

    def _summary(self, where: dict[str, Any], part: dict[str, Any]) -> None:
        """Write the events of a part of a reasoning summary."""
        text = _text(part, "text")
        self.add("response.reasoning_summary_part.added", **where, part={**part, "text": ""})
        for delta in pieces(text, self._piece):
            self.add("response.reasoning_summary_text.delta", **where, delta=delta)
        self.add("response.reasoning_summary_text.done", **where, text=text)
        self.add("response.reasoning_summary_part.done", **where, part=part)

    def _part(self, where: dict[str, Any], part: dict[str, Any]) -> None:
        """Write the events of a content part."""
        kind = str(part.get("type"))
        if kind not in _TEXTS:
            self.add("response.content_part.added", **where, part=part)
            self.add("response.content_part.done", **where, part=part)
            return
        field, name = _TEXTS[kind]
        text, logprobs = _text(part, field), part.get("logprobs") or []
        begun: dict[str, Any] = {**part, field: "", **{key: [] for key in ("annotations", "logprobs") if key in part}}
        self.add("response.content_part.added", **where, part=begun)
        with_logprobs = kind == "output_text"
        for at, delta in enumerate(pieces(text, self._piece)):
            told = {"logprobs": [] if at else logprobs} if with_logprobs else {}
            self.add(f"response.{name}.delta", **where, delta=delta, **told)
        for at, annotation in enumerate(part.get("annotations") or ()):
            self.add("response.output_text.annotation.added", **where, annotation_index=at, annotation=annotation)
        self.add(f"response.{name}.done", **where, **{field: text}, **({"logprobs": logprobs} if with_logprobs else {}))
        self.add("response.content_part.done", **where, part=part)


def _text(whole: dict[str, Any], field: str) -> str:
    text = whole.get(field)
    return text if isinstance(text, str) else ""
