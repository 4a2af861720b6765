"""The output items of a response while they are made, from a whole chat message or from its pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from llmstack._wire.chunk import objects
from llmstack._wire.jsontext import write

__all__ = ["CallItem", "Part", "TextItem", "annotations_of", "arguments_of", "logprobs_of", "reasoning_of", "text_of"]

Json = dict[str, Any]

PartKind = Literal["output_text", "refusal", "reasoning_text"]

_PREFIX: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
"""How the ids of items begin, by type."""


class Part:
    """A part of a message's or a reasoning's content.

    Attributes:
        kind: Its type.
        pieces: Its text so far.
        logprobs: Of output text: one entry a token.
        annotations: Of output text.
    """

    __slots__ = ("annotations", "kind", "logprobs", "pieces")

    def __init__(self, kind: PartKind) -> None:
        """Start empty."""
        self.kind: PartKind = kind
        self.pieces: list[str] = []
        self.logprobs: list[Json] = []
        self.annotations: list[Json] = []

    @property
    def text(self) -> str:
        """What it says so far."""
        return "".join(self.pieces)

    def json(self) -> Json:
        """The part as it is now."""
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": self.text}
        if self.kind == "reasoning_text":
            return {"type": "reasoning_text", "text": self.text}
        told = {"annotations": [*self.annotations], "logprobs": [*self.logprobs]}
        return {"type": "output_text", "text": self.text, **told}


class TextItem:
    """A message, or what the model thought.

    Attributes:
        kind: The item's type.
        id: Its id.
        index: Its place in the output.
        parts: Its content.
        closed: True once its end has been told.
    """

    __slots__ = ("closed", "id", "index", "kind", "parts")

    def __init__(self, kind: Literal["message", "reasoning"], index: int, suffix: str) -> None:
        """Start without any part; `suffix` makes the id the response's own."""
        self.kind = kind
        self.index = index
        self.id = f"{_PREFIX[kind]}_{suffix}_{index}"
        self.parts: list[Part] = []
        self.closed = False

    def find(self, kind: PartKind) -> int | None:
        """Where the part of a kind is; None if there is none yet."""
        return next((at for at, part in enumerate(self.parts) if part.kind == kind), None)

    def json(self, status: str) -> Json:
        """The item as it is now."""
        content = [part.json() for part in self.parts]
        head: Json = {"id": self.id, "type": self.kind, "status": status}
        if self.kind == "reasoning":
            return {**head, "summary": [], "content": content, "encrypted_content": None}
        return {**head, "role": "assistant", "content": content}


class CallItem:
    """A call of a tool.

    Attributes:
        kind: The item's type.
        id: Its id.
        index: Its place in the output.
        call_id: The id by which the tool's answer names it.
        name: The tool.
        pieces: What it is called with, so far.
        closed: True once its end has been told.
    """

    __slots__ = ("call_id", "closed", "id", "index", "kind", "name", "pieces")

    def __init__(self, kind: str, index: int, suffix: str, call_id: str, name: str) -> None:
        """Start without arguments; servers that give no call id get one made from `suffix`."""
        self.kind = kind
        self.index = index
        self.id = f"{_PREFIX[kind]}_{suffix}_{index}"
        self.call_id = call_id or f"call_{suffix}_{index}"
        self.name = name
        self.pieces: list[str] = []
        self.closed = False

    @property
    def field(self) -> str:
        """What the API calls that which the tool is called with."""
        return "arguments" if self.kind == "function_call" else "input"

    @property
    def text(self) -> str:
        """What it is called with, so far."""
        return "".join(self.pieces)

    def json(self, status: str) -> Json:
        """The item as it is now."""
        named = {"call_id": self.call_id, "name": self.name}
        return {"id": self.id, "type": self.kind, "status": status, **named, self.field: self.text}


# Reading what chat says, whole messages and deltas alike ------------------------------------------------------------


def text_of(content: object) -> str:
    """The text of a message's content; some servers send a list of parts."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in objects(content))
    return "".join(text for text in texts if isinstance(text, str))


def reasoning_of(message: Mapping[str, Any]) -> str:
    """What the model thought, under either name that servers have for it; both may be there, saying the same."""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(text := message.get(name), str) and text:
            return text
    return ""


def arguments_of(call: Mapping[str, Any]) -> str:
    """What a tool is called with: JSON text, which some servers send as an object; or the text for a custom tool."""
    given: Any = call.get("arguments", call.get("input"))
    if given is None or isinstance(given, str):
        return given or ""
    return write(given)


def logprobs_of(choice: Mapping[str, Any]) -> list[Json]:
    """The log probabilities of a choice's text as the Responses API has them."""
    logprobs = choice.get("logprobs")
    entries = objects(logprobs.get("content")) if isinstance(logprobs, dict) else []
    return [
        {**_logprob(entry), "top_logprobs": [_logprob(other) for other in objects(entry.get("top_logprobs"))]}
        for entry in entries
    ]


def _logprob(entry: Json) -> Json:
    return {"token": entry.get("token", ""), "bytes": entry.get("bytes") or [], "logprob": entry.get("logprob", 0.0)}


def annotations_of(message: Mapping[str, Any]) -> list[Json]:
    """The citations of a message as the Responses API has them: flat, with every field there is."""
    found: list[Json] = []
    for annotation in objects(message.get("annotations")):
        cited = annotation.get("url_citation")
        if isinstance(cited, dict):
            usual: Json = {"start_index": 0, "end_index": 0, "title": "", "url": ""}
            found.append({"type": "url_citation", **usual, **{k: v for k, v in cited.items() if v is not None}})
    return found
