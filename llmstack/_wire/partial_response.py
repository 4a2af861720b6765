"""Rebuilding a response whose stream was cut short, from the pieces of its output that came.

Events and their fields: OpenAI API reference, "Streaming events" of the Responses API.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from llmstack._wire.delta import Pieces, joined

__all__ = ["partial"]


class _Place(NamedTuple):
    """Where the text of a kind of event belongs: in a part of a list of the item, or (no list) in the item itself."""

    field: str
    parts: str | None = None
    position: str = ""
    type: str = ""


_PLACES: Final = {
    "response.output_text": _Place("text", "content", "content_index", "output_text"),
    "response.refusal": _Place("refusal", "content", "content_index", "refusal"),
    "response.reasoning_text": _Place("text", "content", "content_index", "reasoning_text"),
    "response.reasoning_summary_text": _Place("text", "summary", "summary_index", "summary_text"),
    "response.function_call_arguments": _Place("arguments"),
    "response.mcp_call_arguments": _Place("arguments"),
    "response.custom_tool_call_input": _Place("input"),
    "response.code_interpreter_call_code": _Place("code"),
}

_PARTS: Final = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}


def partial(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Put together what is known of a response that did not end.

    Parameters:
        events: The parsed events, in order.

    Returns:
        The response as it was last announced, with the output so far and the status "incomplete"; None if it was
        never announced.
    """
    response: dict[str, Any] | None = None
    items: dict[int, dict[str, Any]] = {}
    for event in events:
        if isinstance(announced := event.get("response"), dict):
            response = announced
        elif isinstance(kind := event.get("type"), str) and isinstance(index := event.get("output_index"), int):
            _apply(items, index, kind, event)
    if response is None:
        return None
    output = [_finished(items[index]) for index in sorted(items)]
    return {**response, "status": "incomplete", "output": output or response.get("output") or []}


def _apply(items: dict[int, dict[str, Any]], index: int, kind: str, event: dict[str, Any]) -> None:
    """Add an event to the item that it is about."""
    name, _, step = kind.rpartition(".")
    if name == "response.output_item":
        if isinstance(item := event.get("item"), dict):
            items[index] = {**item}
        return
    if name in _PARTS:
        parts, position = _PARTS[name]
        if isinstance(part := event.get("part"), dict):
            _parts(_item(items, index, event), parts)[_position(event, position)] = {**part}
        return
    if name in _PLACES:
        place = _PLACES[name]
        _write(_holder(_item(items, index, event), place, event), place.field, step, event)
    elif kind == "response.output_text.annotation.added":
        part = _holder(_item(items, index, event), _PLACES["response.output_text"], event)
        part["annotations"] = [*(part.get("annotations") or ()), event.get("annotation")]


def _write(holder: dict[str, Any], field: str, step: str, event: dict[str, Any]) -> None:
    """Add a delta to a text, or put the finished text in its place."""
    if step == "done":
        if isinstance(text := event.get(field), str):
            holder[field] = text
    elif step == "delta" and isinstance(delta := event.get("delta"), str):
        before = holder.get(field)
        if not isinstance(before, Pieces):
            before = holder[field] = Pieces((before,) if isinstance(before, str) else ())
        before.append(delta)
        if isinstance(more := event.get("logprobs"), list) and more:
            holder["logprobs"] = [*(holder.get("logprobs") or ()), *more]


def _item(items: dict[int, dict[str, Any]], index: int, event: dict[str, Any]) -> dict[str, Any]:
    """Return an item; one that was never added must be a message, the only kind that needs no name."""
    if index not in items:
        items[index] = {"id": event.get("item_id", ""), "type": "message", "role": "assistant", "status": "in_progress",
                        "content": []}  # fmt: skip
    return items[index]


def _parts(item: dict[str, Any], field: str) -> dict[int, Any]:
    """Return a list of an item as a mapping by position, which may have gaps."""
    parts = item.get(field)
    if not isinstance(parts, _Parts):
        parts = item[field] = _Parts(enumerate(parts if isinstance(parts, list) else ()))
    return parts


class _Parts(dict[int, Any]):
    __slots__ = ()


def _position(event: dict[str, Any], key: str) -> int:
    position = event.get(key)
    return position if isinstance(position, int) else 0


def _holder(item: dict[str, Any], place: _Place, event: dict[str, Any]) -> dict[str, Any]:
    """Return what holds the text: the item or a part of it, made if it was never added."""
    if place.parts is None:
        return item
    parts = _parts(item, place.parts)
    position = _position(event, place.position)
    if not isinstance(parts.get(position), dict):
        parts[position] = {"type": place.type, place.field: ""}
        if place.type == "output_text":
            parts[position]["annotations"] = []
    part: dict[str, Any] = parts[position]
    return part


def _finished(item: dict[str, Any]) -> dict[str, Any]:
    """Make the plain item: text joined, lists in order, and no longer in progress."""
    plain = {
        key: [joined(value[at]) for at in sorted(value)] if isinstance(value, _Parts) else joined(value)
        for key, value in item.items()
    }
    if plain.get("status") == "in_progress":
        plain["status"] = "incomplete"
    return plain
