"""Tools and the choice among them, and the format asked for: chat and Responses differ in where a name stands only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstack.middleware._validation.finding import Findings, is_array, is_object
from llmstack.middleware._validation.json_schema import LONGEST_NAME, SchemaCheck, check_name

_LONGEST_RESPONSES_NAME = 128
"""Of a function in Responses, by the API's specification."""

_NAMED = ("function", "custom")
"""Kinds of tools that have a name of the program's."""


def check_tools(params: Mapping[str, Any], found: Findings, *, nested: bool) -> set[str] | None:
    """Check the tools.

    Args:
        params: The request.
        found: What takes the issues.
        nested: True if a function stands under ``function``, as in chat; False if in the tool itself.

    Returns:
        The names that a choice may name; None if others may be offered by tools that have tools of their own.
    """
    tools = params.get("tools")
    names: set[str] = set()
    if not is_array(tools):
        return names
    closed = True
    for i, tool in enumerate(tools):
        path = f"tools[{i}]"
        if not is_object(tool):
            continue  # said where kinds are checked
        offered = tool.get("type")
        if offered is None:
            found.add(f"{path}.type", "is missing")
        if offered not in _NAMED:
            closed = False
            continue
        inner, where = (tool.get(offered), f"{path}.{offered}") if nested else (tool, path)
        if is_object(inner):
            _check_tool(inner, where, names, found, longest=LONGEST_NAME if nested else _LONGEST_RESPONSES_NAME)
        elif inner is None:
            found.add(where, "is missing")
    return names if closed else None


def check_functions(params: Mapping[str, Any], found: Findings) -> None:
    """The deprecated form of tools in chat."""
    functions = params.get("functions")
    if is_array(functions):
        names: set[str] = set()
        for i, function in enumerate(functions):
            if is_object(function):
                _check_tool(function, f"functions[{i}]", names, found, longest=LONGEST_NAME)


def _check_tool(tool: Mapping[str, Any], path: str, names: set[str], found: Findings, *, longest: int) -> None:
    name = tool.get("name")
    check_name(name, f"{path}.name", found, longest)
    if isinstance(name, str):
        if name in names:
            found.add(f"{path}.name", "another tool has this name", sure=False)
        names.add(name)
    parameters = tool.get("parameters")
    if is_object(parameters):
        strict = tool.get("strict") is True
        if not strict and isinstance(parameters.get("type"), str) and parameters["type"] != "object":
            found.add(f"{path}.parameters.type", 'must be "object"')
        SchemaCheck(parameters, found, strict=strict).run(f"{path}.parameters")


def check_tool_choice(choice: Any, names: set[str] | None, found: Findings, *, nested: bool) -> None:
    """A choice that forces a tool needs one; one that names a tool names one that is there."""
    if names is None:
        return
    if choice == "required" and not names:
        found.add("tool_choice", "forces a tool, but there are no tools")
    if not is_object(choice) or choice.get("type") not in _NAMED:
        return
    kind = str(choice["type"])
    inner, path = (choice.get(kind), f"tool_choice.{kind}") if nested else (choice, "tool_choice")
    if not is_object(inner):
        found.add(path, "is missing" if inner is None else "must be an object")
        return
    name = inner.get("name")
    if name is None:
        found.add(f"{path}.name", "is missing")
    elif isinstance(name, str) and name not in names:
        found.add(f"{path}.name", "no such tool")


def check_format(form: Any, path: str, found: Findings, *, nested: bool) -> None:
    """Check the ``response_format`` of chat, or the ``text.format`` of Responses.

    Args:
        form: The format.
        path: Where it is.
        found: What takes the issues.
        nested: True if name and schema stand under ``json_schema``, as in chat.
    """
    if not is_object(form):
        return
    if form.get("type") is None:
        found.add(f"{path}.type", "is missing")
    if form.get("type") != "json_schema":
        return
    inner = form
    if nested:
        path = f"{path}.json_schema"
        inner = form.get("json_schema") or {}
        if not is_object(inner):
            return
        if not inner:
            found.add(path, "is missing")
            return
    check_name(inner.get("name"), f"{path}.name", found)
    schema = inner.get("schema")
    if is_object(schema):
        SchemaCheck(schema, found, strict=inner.get("strict") is True).run(f"{path}.schema")
    elif schema is None:
        found.add(f"{path}.schema", "is missing", sure=not nested)  # the types of chat let it be left out
