"""Responses: input items, the pairing of function calls with their outputs, and where the conversation comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmstack.middleware._validation.finding import Findings, a, is_array, is_object, kind
from llmstack.middleware._validation.sampling import check_metadata, check_stream_options
from llmstack.middleware._validation.tools import check_format, check_tool_choice, check_tools
from llmstack.middleware._validation.typed import tags_of

_ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")
"""Parameters by which items may come that the request does not show."""

_CHECKED: Final = frozenset({"tools", "tool_choice", "text", "metadata", "stream_options"})
"""Parameters besides the input that are looked at here; most calls have none of them."""

_OPAQUE: Final = frozenset({"item_reference", "compaction", "compaction_summary", "program", "program_output"})
"""Items that stand for others, which the request does not show."""

_ITEM: Final = "responses.response_input_item_param:ResponseInputItemParam"
_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call_output": ("call_id", "output"),
}
"""For kinds of items what they cannot be without."""

_MORE_TOOLS: Final = frozenset({"additional_tools", "tool_search_output", "mcp_list_tools", "item_reference"})


def check_responses(params: Mapping[str, Any], found: Findings, *, stream: bool) -> None:
    """Check a response's parameters for what their kinds and ranges do not tell."""
    given = params.get("input")
    if given is None and not any(params.get(name) for name in _ELSEWHERE):
        found.add("input", "is missing, and so are prompt, previous_response_id and conversation")
    check_input(params, found, answered=True)
    if params.get("previous_response_id") is not None and params.get("conversation") is not None:
        found.add("previous_response_id", "give either previous_response_id or conversation, not both")
    if _CHECKED.isdisjoint(params):
        return
    names = check_tools(params, found, nested=False)
    if params.get("prompt") is None and not _brings_tools(given):
        check_tool_choice(params.get("tool_choice"), names, found, nested=False)
    text = params.get("text")
    if is_object(text):
        check_format(text.get("format"), "text.format", found, nested=False)
    check_metadata(params, found)
    check_stream_options(params, found, stream=stream, sure=False)


def _brings_tools(given: Any) -> bool:
    items = given if is_array(given) else ()
    kinds = (item.get("type") for item in items if is_object(item))
    return any(isinstance(offered, str) and offered in _MORE_TOOLS for offered in kinds)


def check_input(params: Mapping[str, Any], found: Findings, *, answered: bool = False) -> None:
    """Check the input: a text, or items.

    Args:
        params: The request.
        found: What takes the issues.
        answered: True if a function call needs its output: where the model is to go on, not where tokens are counted.
    """
    items = params.get("input")
    if is_array(items):
        _check_items(items, params, found, answered=answered)
    elif kind(items) not in ("string", "null", ""):
        found.add("input", f"must be a string or an array, not {a(kind(items))}", everywhere=True)


def _check_items(items: Sequence[Any], params: Mapping[str, Any], found: Findings, *, answered: bool) -> None:
    whole = not any(params.get(name) is not None for name in _ELSEWHERE)
    for i, item in enumerate(items):
        path = f"input[{i}]"
        if not is_object(item):
            if kind(item):
                found.add(path, f"must be an object, not {a(kind(item))}", everywhere=True)
            else:
                whole = False  # it cannot be looked into
            continue
        offered = item.get("type")
        whole = whole and not _is_opaque(item)
        if offered is None or offered == "message":
            _check_message(item, path, found)
        for name in _NEEDED.get(offered, ()) if isinstance(offered, str) else ():
            if item.get(name) is None:
                found.add(f"{path}.{name}", "is missing")
    if whole:
        _check_pairs(items, found, answered=answered)


def _is_opaque(item: Mapping[str, Any]) -> bool:
    """Whether it stands for what the request does not show, or may: a kind of item that is newer than the SDK.

    The SDK lets a reference leave out its type.
    """
    offered = item.get("type")
    if offered is None:
        return item.get("role") is None and item.get("id") is not None
    return not isinstance(offered, str) or offered in _OPAQUE or offered not in tags_of(_ITEM)


def _check_message(item: Mapping[str, Any], path: str, found: Findings) -> None:
    if item.get("role") is None:
        if item.get("type") is None and item.get("id") is not None:
            return  # a reference to an item
        found.add(f"{path}.role", "is missing" if item.get("type") else "is missing, and so is a type")
        return
    content = item.get("content")
    if content is None:
        found.add(f"{path}.content", "is missing")
    elif is_array(content):
        for i, part in enumerate(content):
            if is_object(part) and part.get("type") is None:
                found.add(f"{path}.content[{i}].type", "is missing")


def _check_pairs(items: Sequence[Any], found: Findings, *, answered: bool) -> None:
    """Every output has its call, and every function call its output, wherever in the input they stand."""
    calls: dict[str, int] = {}
    outputs: dict[str, int] = {}
    for i, item in enumerate(items):
        called = item.get("call_id") if is_object(item) else None
        if isinstance(called, str):
            offered = item.get("type")
            (outputs if isinstance(offered, str) and offered.endswith("_output") else calls)[called] = i
    for called, i in outputs.items():
        if called not in calls and items[i].get("type") in _OUTPUTS:
            found.add(f"input[{i}].call_id", "no such call")
    for called, i in calls.items() if answered else ():
        if called not in outputs and _waits(items[i]):
            found.add(f"input[{i}].call_id", "this call has no function_call_output")


def _waits(item: Mapping[str, Any]) -> bool:
    """Whether a call is to be answered by the program: not one made by a program of the model's, or cut off."""
    return item.get("type") == "function_call" and item.get("caller") is None and item.get("status") != "incomplete"
