"""A chat completion as a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstack._wire.chunk import indexed, objects
from llmstack.transports._translation.responses_body import envelope, outcome, suffix_of
from llmstack.transports._translation.responses_output import (
    CallItem,
    Part,
    PartKind,
    TextItem,
    annotations_of,
    arguments_of,
    logprobs_of,
    reasoning_of,
    text_of,
)

__all__ = ["response_body"]

Json = dict[str, Any]


def response_body(completion: Mapping[str, Any], params: Mapping[str, Any], *, salt: str = "") -> Json:
    """Translate the answer to a chat request into that to the Responses request which it was made from.

    Args:
        completion: The body of a chat completion.
        params: The body of the Responses request.
        salt: What sets this response's ids apart from others; see `suffix_of`.

    Returns:
        The body of a response: reasoning first, then the message, then the calls of tools.
    """
    choices = indexed(completion)
    choice = choices[0][1] if choices else {}
    end = outcome(choice)
    suffix = suffix_of(completion.get("id"), salt)
    items = _items(choice, suffix)
    last = len(items) - 1
    output = [item.json(end.item_status if at == last else "completed") for at, item in enumerate(items)]
    return envelope(completion, params, output, end, suffix=suffix)


def _items(choice: Json, suffix: str) -> list[TextItem | CallItem]:
    message = choice.get("message")
    if not isinstance(message, dict):
        return []
    items: list[TextItem | CallItem] = []
    if thought := reasoning_of(message):
        reasoning = TextItem("reasoning", 0, suffix)
        reasoning.parts.append(_part("reasoning_text", thought))
        items.append(reasoning)
    said = _said(choice, message)
    if said:
        spoken = TextItem("message", len(items), suffix)
        spoken.parts += said
        items.append(spoken)
    for call in objects(message.get("tool_calls")):
        items.append(_call(call, len(items), suffix))
    return items


def _said(choice: Json, message: Json) -> list[Part]:
    """The parts of the message; none if nothing was said, as beside calls of tools."""
    text, cited = text_of(message.get("content")), annotations_of(message)
    parts: list[Part] = []
    if text or cited:
        part = _part("output_text", text)
        part.annotations += cited
        part.logprobs += logprobs_of(choice)
        parts.append(part)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(_part("refusal", refusal))
    return parts


def _part(kind: PartKind, text: str) -> Part:
    part = Part(kind)
    part.pieces.append(text)
    return part


def _call(call: Json, index: int, suffix: str) -> CallItem:
    custom = isinstance(call.get("custom"), dict)
    told = call["custom"] if custom else call.get("function")
    told = told if isinstance(told, dict) else {}
    kind = "custom_tool_call" if custom else "function_call"
    item = CallItem(kind, index, suffix, _text(call, "id"), _text(told, "name"))
    item.pieces.append(arguments_of(told))
    return item


def _text(value: Json, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
