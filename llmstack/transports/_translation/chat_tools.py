"""The tools and the form of the answer, from a chat's request to that of a Response: the same, less deeply nested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["chosen", "format_of", "function_tool", "tool", "web_search"]


def tool(given: Any) -> Any:
    """Translate a tool; one that is of neither of the chat's kinds is given back as it is.

    Args:
        given: An entry of ``tools``.
    """
    if not isinstance(given, Mapping):
        return given
    if given.get("type") == "function" and isinstance(given.get("function"), Mapping):
        return function_tool(given["function"])
    if given.get("type") == "custom" and isinstance(given.get("custom"), Mapping):
        return _custom_tool(given["custom"])
    return given


def function_tool(function: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the definition of a function.

    A chat's functions are not strict, and have no parameters, unless they say so; those of the Responses API must say.

    Args:
        function: What ``tools`` has under ``function``, or an entry of ``functions``.
    """
    parameters = function.get("parameters")
    return {
        **function,
        "type": "function",
        "parameters": {"type": "object", "properties": {}} if parameters is None else parameters,
        "strict": bool(function.get("strict")),
    }


def _custom_tool(custom: Mapping[str, Any]) -> dict[str, Any]:
    form = custom.get("format")
    if isinstance(form, Mapping) and isinstance(grammar := form.get("grammar"), Mapping):
        return {**custom, "type": "custom", "format": {"type": "grammar", **grammar}}
    return {**custom, "type": "custom"}


def chosen(choice: Any) -> Any:
    """Translate ``tool_choice``, or the value of ``function_call``; a word means the same in both APIs.

    Args:
        choice: ``"auto"``, ``"none"``, ``"required"``, or an object.
    """
    if not isinstance(choice, Mapping):
        return choice
    kind = choice.get("type")
    if kind in ("function", "custom") and isinstance(named := choice.get(kind), Mapping):
        return {"type": kind, **named}
    if kind == "allowed_tools" and isinstance(allowed := choice.get(kind), Mapping):
        tools = allowed.get("tools")
        names = [chosen(entry) for entry in tools] if isinstance(tools, (list, tuple)) else tools
        return {"type": kind, **allowed, "tools": names}
    return choice


def format_of(response_format: Any) -> Any:
    """Translate ``response_format`` to ``text.format``.

    Args:
        response_format: ``{"type": "json_schema", "json_schema": {...}}`` or another type, which is the same in both.
    """
    if isinstance(response_format, Mapping) and isinstance(schema := response_format.get("json_schema"), Mapping):
        return {"type": "json_schema", **schema}
    return response_format


def web_search(options: Mapping[str, Any]) -> dict[str, Any]:
    """Translate ``web_search_options`` to the tool that does the same.

    Args:
        options: Size of the context, and location of the user.
    """
    found: dict[str, Any] = {"type": "web_search", **options}
    location = options.get("user_location")
    if isinstance(location, Mapping) and isinstance(place := location.get("approximate"), Mapping):
        found["user_location"] = {"type": "approximate", **place}
    return found
