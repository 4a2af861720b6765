"""The messages of a chat as the items of a Responses input.

Each message becomes one item in its place, system and developer messages too: `instructions` is never set, since it
would take their role from them and, if they come later, their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmstack.transports._translation.untranslatable import Losses

__all__ = ["input_items"]

_OWN: Final = frozenset({"role", "content", "name", "refusal", "tool_calls", "tool_call_id", "function_call", "audio",
                         "annotations"})  # fmt: skip
"""What a message has by the API; whatever else is there is a server's own, and goes with it."""


def input_items(messages: Any, losses: Losses) -> Any:
    """Translate a conversation.

    Args:
        messages: The chat's ``messages``.
        losses: Where it is noted what the Responses API cannot say.

    Returns:
        The items of ``input``; what is no list is given back as it is, for the API to refuse.
    """
    if not isinstance(messages, (list, tuple)):
        return messages
    thread = _Thread(losses)
    items: list[Any] = []
    for place, message in enumerate(messages):
        items += thread.items(f"messages[{place}]", message)
    return items


class _Thread:
    """A conversation as far as it has been read."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._custom: set[str] = set()  # ids of calls of custom tools, whose outputs are items of another type
        self._unanswered: list[tuple[Any, str]] = []  # name and id of calls by `function_call`, which has no id itself
        self._legacy = 0

    def items(self, path: str, message: Any) -> list[Any]:
        if not isinstance(message, Mapping):
            return [message]
        extra = {key: value for key, value in message.items() if key not in _OWN}
        role = message.get("role")
        if role == "tool":
            return [{**extra, **self._output(path, message)}]
        if role == "function":
            return [{**extra, **item} for item in self._legacy_output(path, message)]
        if message.get("name") is not None:
            self._losses.drop(f"{path}.name", "has no counterpart in the Responses API")
        if role == "assistant":
            first, *others = self._answer(path, message)
            return [{**extra, **first}, *others]
        content = self._content(f"{path}.content", message.get("content"), "input_text")
        return [{**extra, "type": "message", "role": role, "content": content}]

    # What the assistant said ------------------------------------------------------------------------------------

    def _answer(self, path: str, message: Mapping[str, Any]) -> list[dict[str, Any]]:
        if message.get("audio"):
            self._losses.refuse(f"{path}.audio", "is an answer in audio, which the Responses API does not keep")
        said = self._content(f"{path}.content", message.get("content"), "output_text")
        refusal = message.get("refusal")
        if refusal:
            before: list[Any] = said if isinstance(said, list) else [_spoken(said)] if said else []
            said = [*before, {"type": "refusal", "refusal": refusal}]
        made = message.get("tool_calls")
        calls = [
            self._call(f"{path}.tool_calls[{place}]", call)
            for place, call in enumerate(made if isinstance(made, (list, tuple)) else ())
        ]
        if isinstance(called := message.get("function_call"), Mapping):
            calls.append(self._legacy_call(called))
        if calls and not said:
            return calls
        return [{"type": "message", "role": "assistant", "content": "" if said is None else said}, *calls]

    def _call(self, path: str, call: Any) -> dict[str, Any]:
        fields: Mapping[str, Any] = call if isinstance(call, Mapping) else {}
        call_id = fields.get("id")
        if isinstance(custom := fields.get("custom"), Mapping):
            self._custom.add(str(call_id))
            return {"type": "custom_tool_call", "call_id": call_id, **_named(custom, "input")}
        if isinstance(function := fields.get("function"), Mapping):
            return {"type": "function_call", "call_id": call_id, **_named(function, "arguments")}
        self._losses.refuse(path, "is the call of neither a function nor a custom tool")
        return {}

    def _legacy_call(self, called: Mapping[str, Any]) -> dict[str, Any]:
        call_id = f"call_legacy_{self._legacy}"
        self._legacy += 1
        self._unanswered.append((called.get("name"), call_id))
        return {"type": "function_call", "call_id": call_id, **_named(called, "arguments")}

    # What tools answered ----------------------------------------------------------------------------------------

    def _output(self, path: str, message: Mapping[str, Any]) -> dict[str, Any]:
        call_id = message.get("tool_call_id")
        kind = "custom_tool_call_output" if str(call_id) in self._custom else "function_call_output"
        output = self._content(f"{path}.content", message.get("content"), "input_text")
        return {"type": kind, "call_id": call_id, "output": "" if output is None else output}

    def _legacy_output(self, path: str, message: Mapping[str, Any]) -> list[dict[str, Any]]:
        name = message.get("name")
        found = next((known for known in self._unanswered if known[0] == name), None)
        if found is None:
            self._losses.refuse(path, "answers no `function_call` before it")
            return []
        self._unanswered.remove(found)
        output = self._content(f"{path}.content", message.get("content"), "input_text")
        return [{"type": "function_call_output", "call_id": found[1], "output": "" if output is None else output}]

    # Content ----------------------------------------------------------------------------------------------------

    def _content(self, path: str, content: Any, text: str) -> Any:
        if not isinstance(content, (list, tuple)):
            return content
        return [self._part(f"{path}[{place}]", part, text) for place, part in enumerate(content)]

    def _part(self, path: str, part: Any, text: str) -> Any:
        if not isinstance(part, Mapping):
            return part
        kind = part.get("type")
        if kind == "text" and text == "output_text":
            if part.get("prompt_cache_breakpoint") is not None:
                why = "has a counterpart in the Responses API only on what is put in, not on an answer"
                self._losses.drop(f"{path}.prompt_cache_breakpoint", why)
            return {**_without(part, "prompt_cache_breakpoint"), **_spoken(part.get("text"))}
        if kind == "text":
            return {**part, "type": text}
        if kind == "image_url":
            return _image(part)
        if kind == "file" and isinstance(file := part.get("file"), Mapping):
            return {**_without(part, "file"), **file, "type": "input_file"}
        return part  # `input_audio` and `refusal` are the same in both; the rest is a server's own


def _without(part: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != name}


def _spoken(text: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _image(part: Mapping[str, Any]) -> dict[str, Any]:
    image = part.get("image_url")
    fields: Mapping[str, Any] = image if isinstance(image, Mapping) else {"url": image}
    return {**part, "type": "input_image", "image_url": fields.get("url"), "detail": fields.get("detail") or "auto"}


def _named(fields: Mapping[str, Any], what: str) -> dict[str, Any]:
    value = fields.get(what)
    return {"name": fields.get("name"), what: "" if value is None else value}
