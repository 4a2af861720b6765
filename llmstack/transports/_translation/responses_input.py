"""The input of a Responses request as the messages of a chat.

A response is a list of items, a turn of a chat one message: what the assistant said and which tools it called come
together here, since a chat answers a message with `tool_calls` by `tool` messages right after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from llmstack._wire.chunk import objects
from llmstack.transports._translation.responses_content import (
    assistant_content,
    chat_content,
    told,
    tool_content,
)
from llmstack.transports._translation.untranslatable import Losses

__all__ = ["Conversation", "input_items"]

Json = dict[str, Any]

_ROLES: Final = frozenset({"user", "assistant", "system", "developer"})

_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})

_NEEDED: Final = {
    "item_reference": "names an item that only a server that keeps state knows: send the item itself",
    "compaction": "holds a conversation in a form that only the server that wrote it can read",
}
"""Items without which a conversation makes no sense, by type; others are dropped if the program allows it."""


def input_items(given: Any) -> list[Any]:
    """The `input` of a request as a list of items.

    Args:
        given: Text, a list of items, or nothing.

    Returns:
        The items; text is one message of the user's.
    """
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        return [] if given is None else [given]  # which is refused by its place
    return list(given)


class Conversation:
    """Collects the messages of a chat from the items of a response's input.

    Attributes:
        messages: The messages so far.
    """

    __slots__ = ("_losses", "_reasoning_field", "_system_role", "_thought", "_turn", "messages")

    def __init__(self, losses: Losses, *, system_role: str, reasoning_field: str | None = None) -> None:
        """Start with no message.

        Args:
            losses: Told of what chat cannot say.
            system_role: The role of instructions and of developer messages: "system" or "developer".
            reasoning_field: Where an assistant's message has what the model thought; None to leave that out.
        """
        self._losses = losses
        self._system_role = system_role
        self._reasoning_field = reasoning_field
        self._thought = ""  # what the model thought before what comes next
        self._turn: Json | None = None  # the assistant's message that is not over yet
        self.messages: list[Json] = []

    def instruct(self, instructions: Any) -> None:
        """Begin with the request's instructions; nothing if there are none."""
        if isinstance(instructions, str):
            if instructions:
                self.messages.append({"role": self._system_role, "content": instructions})
        elif instructions is not None:
            self._losses.refuse("instructions", "are no text")

    def extend(self, items: Sequence[Any], path: str = "input") -> None:
        """Add items, in order."""
        for at, item in enumerate(items):
            self._add(item, f"{path}[{at}]")

    def _add(self, item: Any, path: str) -> None:
        if not isinstance(item, dict):
            self._losses.refuse(path, "is no object")
            return
        kind = _kind(item)
        if kind == "message":
            self._message(item, path)
        elif kind == "function_call":
            function = {"name": item.get("name", ""), "arguments": item.get("arguments", "")}
            self._call(item, {"type": "function", "function": function}, path)
        elif kind == "custom_tool_call":
            custom = {"name": item.get("name", ""), "input": item.get("input", "")}
            self._call(item, {"type": "custom", "custom": custom}, path)
        elif kind in _OUTPUTS:
            content = tool_content(item.get("output"), self._losses, f"{path}.output")
            self._say({"role": "tool", "tool_call_id": item.get("call_id", ""), "content": content})
        elif kind in _NEEDED:
            self._losses.refuse(path, f"({kind}) {_NEEDED[kind]}")
        elif kind == "reasoning":
            self._thought += _reasoning_text(item)
        else:
            self._losses.drop(path, f"({told(kind)}) belongs to a tool that chat completions have not")

    def _message(self, item: Json, path: str) -> None:
        role = item.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            self._losses.refuse(f"{path}.role", f"is {told(role)}: chat has no such role")
            return
        named = {"name": item["name"]} if isinstance(item.get("name"), str) else {}
        if role == "assistant":
            said = assistant_content(item.get("content"), self._losses, f"{path}.content")
            self._answer({"role": role, **named, **said})
            return
        if role == "developer":
            role = self._system_role
        content = chat_content(item.get("content"), self._losses, f"{path}.content")
        self._say({"role": role, **named, "content": content})

    def _say(self, message: Json) -> None:
        """Add what is not the assistant's: its turn is over."""
        self._turn, self._thought = None, ""
        self.messages.append(message)

    def _answer(self, message: Json) -> None:
        """Add what the assistant said: to the calls that it has just made, if it has said nothing yet."""
        turn = self._turn
        if turn is not None and turn["content"] is None and "refusal" not in turn:
            turn.update(message)
        else:
            turn = self._turn = message
            self.messages.append(message)
        self._think(turn)

    def _call(self, item: Json, call: Json, path: str) -> None:
        """Add a call of a tool to what the assistant has just said."""
        if item.get("namespace") is not None:
            self._losses.drop(f"{path}.namespace", "has no counterpart in chat")
        turn = self._turn
        if turn is None:
            turn = self._turn = {"role": "assistant", "content": None}
            self.messages.append(turn)
        self._think(turn)
        turn.setdefault("tool_calls", []).append({"id": item.get("call_id", ""), **call})

    def _think(self, turn: Json) -> None:
        """Add what the model thought to what came of it. A chat goes on without it, but some models do so badly."""
        field, thought, self._thought = self._reasoning_field, self._thought, ""
        if field is not None and thought:
            turn[field] = turn.get(field, "") + thought


def _kind(item: Json) -> str:
    """The type of an item; messages and references may leave theirs out."""
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    return "message" if "role" in item else "item_reference"


def _reasoning_text(item: Json) -> str:
    """What the model thought, as far as it can be read: neither encrypted nor a summary."""
    texts = (part.get("text") for part in objects(item.get("content")) if part.get("type") == "reasoning_text")
    return "".join(text for text in texts if isinstance(text, str))
