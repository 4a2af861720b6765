"""The tools, the choice among them and the form of the text, of a Responses request as chat has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmstack.transports._translation.responses_content import entries, told
from llmstack.transports._translation.untranslatable import Losses

__all__ = ["chat_format", "chat_tool_choice", "chat_tools"]

Json = dict[str, Any]

_BUILT_IN: Final = "is a tool of the Responses API's own, and chat completions have none: give a function instead"

_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "allowed_callers": (None, [], ["direct"]),
    "async": (None, False),
    "defer_loading": (None, False),
    "output_schema": (None,),
}
"""Fields of a tool that chat has not, and the values that say nothing."""


def chat_tools(tools: Any, losses: Losses) -> list[Json]:
    """Translate the tools.

    Args:
        tools: The request's `tools`.
        losses: Told of what chat cannot say.

    Returns:
        Function and custom tools as chat has them.
    """
    found = [_tool(tool, losses, path) for path, tool in entries(tools, losses, "tools")]
    return [tool for tool in found if tool is not None]


def _tool(tool: Json, losses: Losses, path: str) -> Json | None:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        losses.drop(path, f"({told(kind)}) {_BUILT_IN}")
        return None
    for name, neutral in _NEUTRAL.items():
        if tool.get(name) not in neutral:
            losses.drop(f"{path}.{name}", "has no counterpart in chat")
    if kind == "function":
        fields = ("name", "description", "parameters", "strict")
        return {"type": kind, kind: {name: tool[name] for name in fields if tool.get(name) is not None}}
    custom = {name: tool[name] for name in ("name", "description") if tool.get(name) is not None}
    form = tool.get("format")
    if isinstance(form, dict) and form.get("type") == "grammar":
        form = {"type": "grammar", "grammar": {name: value for name, value in form.items() if name != "type"}}
    return {"type": kind, kind: custom if form is None else {**custom, "format": form}}


def chat_tool_choice(choice: Any, losses: Losses) -> Any:
    """Translate which tool the model is to use.

    Args:
        choice: The request's `tool_choice`.
        losses: Told of what chat cannot say.

    Returns:
        Chat's `tool_choice`; None if there is nothing to say.
    """
    if not isinstance(choice, dict):
        return choice
    kind = choice.get("type")
    if kind in ("function", "custom"):
        return _named(choice)
    if kind != "allowed_tools":
        losses.drop("tool_choice", f"({told(kind)}) {_BUILT_IN}")
        return None
    allowed: list[Json] = []
    for path, tool in entries(choice.get("tools"), losses, "tool_choice.tools"):
        if tool.get("type") in ("function", "custom"):
            allowed.append(_named(tool))
        else:
            losses.drop(path, f"({told(tool.get('type'))}) {_BUILT_IN}")
    return {"type": kind, kind: {"mode": choice.get("mode", "auto"), "tools": allowed}}


def _named(tool: Json) -> Json:
    kind = tool["type"]
    return {"type": kind, kind: {"name": tool.get("name", "")}}


def chat_format(form: Any, losses: Losses) -> Json | None:
    """Translate the form that the text is to have.

    Args:
        form: The request's `text.format`.
        losses: Told of what chat cannot say.

    Returns:
        Chat's `response_format`; None for plain text.
    """
    kind = form.get("type") if isinstance(form, Mapping) else None
    if form is None or kind == "text":
        return None
    if kind == "json_object":
        return {"type": kind}
    if kind == "json_schema":
        fields = ("name", "description", "schema", "strict")
        return {"type": kind, kind: {name: form[name] for name in fields if form.get(name) is not None}}
    losses.refuse("text.format", f"is of type {told(kind)}, which chat has not")
    return None
