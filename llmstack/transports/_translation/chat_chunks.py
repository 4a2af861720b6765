"""The events of a streamed Response as the chunks of a streamed chat completion.

What has been given of each piece of the output is remembered. The events that end a piece or an item say all of it once
more: what then is missing is given, so that servers which send no deltas, or not all, are understood as well. From the
last event only what nothing was given of is taken: not all servers count the items there as they did before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmstack.transports._translation.chat_reply import (
    citations,
    finish_reason,
    head,
    logprob_rows,
    moderation,
    problem,
    tool_call,
    usage,
)
from llmstack.transports._translation.chat_request import wants_function_call

__all__ = ["ChatChunks"]

_Chunk = dict[str, Any]

_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})

_TEXTS: Final = {"output_text": ("text", "content"), "refusal": ("refusal", "refusal")}
"""Where a part of a message has its text, and where the chunk has it, by the part's type."""

_INPUTS: Final = {"function_call_arguments": "arguments", "custom_tool_call_input": "input"}
"""Where a call has its text, by the name of its events."""

_Place = tuple[object, object]
"""Where a text belongs: the item, and the index of the part in it, or None for a call."""


class ChatChunks:
    """Translates the stream of one answer; a `Translator` for `TranslatedIncoming`.

    Attributes:
        done: True once the last chunk has been given: ``[DONE]`` may follow.
        failed: True once an error has been given.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Start before the first event.

        Args:
            params: The body of the chat's request.
        """
        options = params.get("stream_options")
        self._usage = isinstance(options, Mapping) and bool(options.get("include_usage"))
        self._logprobs = bool(params.get("logprobs"))
        self._legacy = wants_function_call(params)
        self._head = head({}, "chat.completion.chunk")
        self._opened = False
        self._given: dict[_Place, int] = {}  # characters
        self._calls: dict[object, tuple[int, str]] = {}  # number and type of each call, by its item
        self._items: dict[int, Any] = {}  # as their last event had them
        self.done = False
        self.failed = False

    def feed(self, event: Mapping[str, Any], /) -> list[_Chunk]:
        """Take one event.

        Args:
            event: Any event of the Responses API, or an error in the shape of other endpoints.

        Returns:
            The chunks that say the same: none for what a chat does not tell, such as reasoning.
        """
        if self.done or self.failed:
            return []
        kind, response = str(event.get("type")), event.get("response")
        if isinstance(response, Mapping):
            return self._response(kind, response)
        if kind == "error" or event.get("error"):
            return self._failure(_told(event))
        name, _, step = kind.removeprefix("response.").rpartition(".")
        return self._output(name, step, event)

    def end(self) -> list[_Chunk]:
        """Take the end of the stream: one that its last event has not ended was cut short, and stays so."""
        return []

    # Events -----------------------------------------------------------------------------------------------------

    def _output(self, name: str, step: str, event: Mapping[str, Any]) -> list[_Chunk]:
        if name == "output_item":
            return self._item(_item_of(event), event.get("item"), whole=step == "done")
        if name in _TEXTS:
            return self._text_event(name, step, event)
        return self._input_event(_INPUTS[name], step, event) if name in _INPUTS else []

    def _response(self, kind: str, response: Mapping[str, Any]) -> list[_Chunk]:
        self._head = {name: value or self._head[name] for name, value in head(response, self._head["object"]).items()}
        if kind not in _TERMINAL:
            return []
        response = {"status": kind.removeprefix("response."), **response}
        error = problem(response)
        if error is not None:
            return self._failure(error)
        output = response.get("output")
        items = list(enumerate(output)) if isinstance(output, list) and output else sorted(self._items.items())
        chunks = self._untold(items)
        cited = citations([item for _, item in items])
        if cited:
            # All at once: the SDK's own accumulation takes a list of objects without index only once.
            chunks += self._delta({"annotations": cited})
        reason = finish_reason(response, called=bool(self._calls), legacy=self._legacy)
        chunks += self._delta({}, reason=reason)
        chunks[-1] |= moderation(response)
        if self._usage:
            chunks.append({**self._head, "choices": [], "usage": usage(response.get("usage"))})
        self.done = True
        return chunks

    def _untold(self, items: list[tuple[int, Any]]) -> list[_Chunk]:
        """The chunks of items that are told by the last event only: all messages, or all calls."""
        said = any(part is not None for _, part in self._given)
        called = bool(self._calls)
        return [
            chunk
            for index, item in items
            if isinstance(item, Mapping) and not (said if tool_call(item) is None else called)
            for chunk in self._item(index, item, whole=True)
        ]

    def _item(self, index: Any, item: Any, *, whole: bool) -> list[_Chunk]:
        """An item that begins, or is said as a whole."""
        if not isinstance(item, Mapping):
            return []
        if isinstance(index, int) and whole:
            self._items[index] = item
        call = tool_call(item)
        if call is not None:
            text = call[call["type"]].pop("arguments" if call["type"] == "function" else "input")
            return [*self._opening(index, call), *self._called(index, text, whole=True)]
        content = item.get("content")
        if not whole or item.get("type") != "message" or not isinstance(content, list):
            return []
        return [chunk for number, part in enumerate(content) for chunk in self._part((index, number), part)]

    def _part(self, place: _Place, part: Any) -> list[_Chunk]:
        field, key = _TEXTS.get(str(part.get("type")), ("", "")) if isinstance(part, Mapping) else ("", "")
        if not key:
            return []
        missing = self._missing(place, part.get(field))
        return self._delta({key: missing}) if missing else []

    def _text_event(self, name: str, step: str, event: Mapping[str, Any]) -> list[_Chunk]:
        field, key = _TEXTS[name]
        part = event.get("content_index")
        place = (_item_of(event), part if isinstance(part, int) else 0)
        if step == "done":
            return self._part(place, {"type": name, field: event.get(field)})
        text = event.get("delta")
        if step != "delta" or not isinstance(text, str):
            return []
        self._given[place] = self._given.get(place, 0) + len(text)
        rows = logprob_rows(event) if self._logprobs else []
        chunks = self._delta({key: text}, logprobs={"content": rows, "refusal": None} if rows else None)
        return _obfuscated(chunks, event)

    def _input_event(self, field: str, step: str, event: Mapping[str, Any]) -> list[_Chunk]:
        text = event.get("delta" if step == "delta" else field)
        index = _item_of(event)
        if step not in ("delta", "done") or not isinstance(text, str):
            return []
        return _obfuscated(self._called(index, text, whole=step == "done"), event)

    # Calls ------------------------------------------------------------------------------------------------------

    def _opening(self, index: Any, call: dict[str, Any]) -> list[_Chunk]:
        """The chunk that a call begins with, once."""
        if index in self._calls:
            return []
        number, kind = len(self._calls), call["type"]
        self._calls[index] = (number, kind)
        named = {**call[kind], "arguments" if kind == "function" else "input": ""}
        if self._legacy:
            return [] if number else self._delta({"function_call": named})
        return self._delta({"tool_calls": [{"index": number, **call, kind: named}]})

    def _called(self, index: Any, text: str, *, whole: bool) -> list[_Chunk]:
        """More of a call's text, or all of it; of a call that has not begun its item will say it."""
        if index not in self._calls:
            return []
        number, kind = self._calls[index]
        place = (index, None)
        if whole:
            text = self._missing(place, text)
        else:
            self._given[place] = self._given.get(place, 0) + len(text)
        if not text or (self._legacy and number):
            return []
        more = {"arguments" if kind == "function" else "input": text}
        if self._legacy:
            return self._delta({"function_call": more})
        return self._delta({"tool_calls": [{"index": number, kind: more}]})

    # Chunks -----------------------------------------------------------------------------------------------------

    def _missing(self, place: _Place, text: Any) -> str:
        """What has not been given of a text; from now on it has been."""
        given = self._given.get(place, 0)
        if not isinstance(text, str) or len(text) <= given:
            return ""
        self._given[place] = len(text)
        return text[given:]

    def _delta(
        self, delta: dict[str, Any], *, logprobs: dict[str, Any] | None = None, reason: str | None = None
    ) -> list[_Chunk]:
        """The chunk of a delta, after the one that tells the role if it is the first."""
        chunks: list[_Chunk] = []
        if not self._opened:
            self._opened = True
            # As the API does it: text begins empty, and where there is none it is null.
            content = None if "tool_calls" in delta or "function_call" in delta else ""
            chunks.append(self._chunk({"role": "assistant", "content": content, "refusal": None}, None, None))
        return [*chunks, self._chunk(delta, logprobs, reason)]

    def _chunk(self, delta: dict[str, Any], logprobs: dict[str, Any] | None, reason: str | None) -> _Chunk:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return {**self._head, "choices": [choice], **({"usage": None} if self._usage else {})}

    def _failure(self, error: dict[str, Any]) -> list[_Chunk]:
        self.failed = True
        return [{"error": error}]


def _item_of(event: Mapping[str, Any]) -> object:
    """Which item an event is about: its index, or for servers that do not count, its id."""
    index = event.get("output_index")
    if isinstance(index, int):
        return index
    item = event.get("item")
    named = item.get("id") if isinstance(item, Mapping) else event.get("item_id")
    return named if isinstance(named, str) else 0


def _told(event: Mapping[str, Any]) -> dict[str, Any]:
    """The error that an event tells of: in the Responses API's own shape, or as other endpoints have it."""
    error = event.get("error")
    if isinstance(error, Mapping) and error:
        return {**error}
    own = {name: value for name, value in event.items() if name not in ("type", "sequence_number", "error")}
    return {"message": str(error or "The response failed."), "code": None, **own}


def _obfuscated(chunks: list[_Chunk], event: Mapping[str, Any]) -> list[_Chunk]:
    """The chunks, the last of which carries what makes the sizes of the event's bytes alike."""
    if chunks and event.get("obfuscation") is not None:
        chunks[-1]["obfuscation"] = event["obfuscation"]
    return chunks
