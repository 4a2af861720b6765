"""The chunks of a streamed chat completion as the events of a streamed response.

Law of this file: an item of text ends when the next item begins, as in the Responses API; calls of tools, whose pieces
may come in turns, all end at the end. The terminal event comes last, after the usage, and only if the server has said
why it finished: a stream that was cut short ends as a response's does, without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from llmstack._wire.chunk import objects
from llmstack.transports._translation.responses_body import Outcome, envelope, outcome, suffix_of
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
from llmstack.transports._translation.responses_pieces import Call, Calls, Head

__all__ = ["ResponseEvents"]

Json = dict[str, Any]

_CALLS: Final = {"function_call": "function_call_arguments", "custom_tool_call": "custom_tool_call_input"}
"""Type of an item: how the events of its pieces are called."""


class ResponseEvents:
    """Translates a stream, chunk by chunk.

    Attributes:
        response: The whole response once it has ended; None before, and if it never does.
    """

    __slots__ = ("_begun", "_calls", "_events", "_finish", "_head", "_items", "_logprobs", "_number", "_params",
                 "_salt", "_suffix", "_text", "response")  # fmt: skip

    def __init__(self, params: Mapping[str, Any], *, salt: str = "") -> None:
        """Start before the first chunk.

        Args:
            params: The body of the Responses request.
            salt: What sets this response's ids apart from others; see `suffix_of`.
        """
        self._params = params
        self._salt = salt
        self._suffix = ""
        self._head = Head()
        self._calls = Calls()
        self._items: list[TextItem | CallItem] = []
        self._text: TextItem | None = None  # the item of text that is open
        self._logprobs: list[Json] = []  # of tokens whose text has not come: half a character has none
        self._finish: Json = {}
        self._begun = False
        self._events: list[Json] = []
        self._number = 0
        self.response: Json | None = None

    @property
    def done(self) -> bool:
        """True once the terminal event was given."""
        return self.response is not None

    @property
    def failed(self) -> bool:
        """Never: an error in the stream is raised where it is read."""
        return False

    def feed(self, chunk: Mapping[str, Any]) -> list[Json]:
        """Take a chunk.

        Args:
            chunk: A chunk of the chat stream.

        Returns:
            The events that it makes, maybe none.
        """
        self._head.take(chunk)
        choices = [choice for choice in objects(chunk.get("choices")) if choice.get("index") in (0, None)]
        # Azure's first chunk says nothing of who answers.
        if not self._begun and (choices or chunk.get("id")):
            self._begin()
        for choice in choices:
            self._logprobs += logprobs_of(choice)
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._delta(delta)
            if choice.get("finish_reason") is not None:
                self._finish = choice
        return self._taken()

    def end(self) -> list[Json]:
        """Take the end of the stream.

        Returns:
            The events that end the response; nothing if the server never said that it had finished.
        """
        if not self._finish:
            return []
        end = outcome(self._finish)
        for call in self._calls.unnamed():
            self._open_call(call)
        last = len(self._items) - 1
        for item in self._items:
            self._close(item, end.item_status if item.index == last else "completed")
        output = [item.json(end.item_status if item.index == last else "completed") for item in self._items]
        self.response = self._body(end, output)
        self._add(f"response.{end.status}", response=self.response)
        return self._taken()

    # The response -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._begun = True
        self._suffix = suffix_of(self._head.fields.get("id"), self._salt)
        begun = self._body(Outcome("in_progress"), [])
        self._add("response.created", response=begun)
        self._add("response.in_progress", response=begun)

    def _body(self, end: Outcome, output: list[Json]) -> Json:
        return envelope(self._head.fields, self._params, output, end, suffix=self._suffix)

    def _add(self, kind: str, **fields: Any) -> None:
        self._events.append({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1

    def _taken(self) -> list[Json]:
        events, self._events = self._events, []
        return events

    # Its items --------------------------------------------------------------------------------------------------

    def _delta(self, delta: Json) -> None:
        if thought := reasoning_of(delta):
            self._say("reasoning", "reasoning_text", thought)
        if text := text_of(delta.get("content")):
            self._say("message", "output_text", text)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._say("message", "refusal", refusal)
        for annotation in annotations_of(delta):
            item, at = self._part("message", "output_text")
            known = item.parts[at].annotations
            place = {**_place(item, at), "annotation_index": len(known)}
            known.append(annotation)
            self._add("response.output_text.annotation.added", **place, annotation=annotation)
        for entry in objects(delta.get("tool_calls")):
            self._call(entry)

    def _say(self, kind: Literal["message", "reasoning"], part: PartKind, text: str) -> None:
        item, at = self._part(kind, part)
        item.parts[at].pieces.append(text)
        told: Json = {}
        if part == "output_text":
            told["logprobs"], self._logprobs = self._logprobs, []
            item.parts[at].logprobs += told["logprobs"]
        self._add(f"response.{part}.delta", **_place(item, at), delta=text, **told)

    def _part(self, kind: Literal["message", "reasoning"], part: PartKind) -> tuple[TextItem, int]:
        """The item of text that is open, and where its part is; opened if they are not."""
        item = self._text
        if item is None or item.kind != kind:
            item = TextItem(kind, len(self._items), self._suffix)
            self._open(item)
            self._text = item
        at = item.find(part)
        if at is None:
            at = len(item.parts)
            item.parts.append(Part(part))
            self._add("response.content_part.added", **_place(item, at), part=item.parts[at].json())
        return item, at

    def _call(self, entry: Json) -> None:
        """Take a piece of a call, which is told of once its name is known."""
        call = self._calls.find(entry)
        arguments = arguments_of(call.told)
        if call.item is None and not call.name:
            call.waiting.append(arguments)
            return
        self._write(call.item or self._open_call(call), arguments)

    def _open_call(self, call: Call) -> CallItem:
        item = call.item = CallItem(call.kind, len(self._items), self._suffix, call.id, call.name)
        self._open(item)
        for arguments in call.waiting:
            self._write(item, arguments)
        return item

    def _write(self, item: CallItem, text: str) -> None:
        if text:
            item.pieces.append(text)
            self._add(f"response.{_CALLS[item.kind]}.delta", item_id=item.id, output_index=item.index, delta=text)

    def _open(self, item: TextItem | CallItem) -> None:
        if self._text is not None:
            self._close(self._text, "completed")
            self._text = None
        self._items.append(item)
        self._add("response.output_item.added", output_index=item.index, item=item.json("in_progress"))

    def _close(self, item: TextItem | CallItem, status: str) -> None:
        """Tell the end of an item, once."""
        if item.closed:
            return
        item.closed = True
        if isinstance(item, CallItem):
            told = {item.field: item.text, **({"name": item.name} if item.field == "arguments" else {})}
            self._add(f"response.{_CALLS[item.kind]}.done", item_id=item.id, output_index=item.index, **told)
        else:
            for at, part in enumerate(item.parts):
                self._end_part(item, at, part)
        self._add("response.output_item.done", output_index=item.index, item=item.json(status))

    def _end_part(self, item: TextItem, at: int, part: Part) -> None:
        whole = part.json()
        field = "refusal" if part.kind == "refusal" else "text"
        told = {"logprobs": whole["logprobs"]} if part.kind == "output_text" else {}
        self._add(f"response.{part.kind}.done", **_place(item, at), **{field: whole[field]}, **told)
        self._add("response.content_part.done", **_place(item, at), part=whole)


def _place(item: TextItem, at: int) -> Json:
    return {"item_id": item.id, "output_index": item.index, "content_index": at}
