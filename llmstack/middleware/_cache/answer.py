"""Answers that are worth keeping: whole, neither refused nor filtered nor cut short, each choice of them.

Judged before one is kept, and again when it comes back from a store, which may hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from llmstack import Call

__all__ = ["is_whole"]

_CALLED: Final = frozenset({"tool_calls", "function_call", "stop"})


def is_whole(call: Call, body: Any, *, tool_calls: bool) -> bool:
    """Whether a body is an answer to a call that may be kept.

    Args:
        call: The call.
        body: The JSON value.
        tool_calls: Whether one may call tools.
    """
    if not isinstance(body, dict) or body.get("error"):
        return False
    return _JUDGES[call.endpoint](call.params, body, tool_calls)


def _chat(params: Mapping[str, Any], body: Mapping[str, Any], tool_calls: bool) -> bool:  # noqa: FBT001 - see _JUDGES
    choices = body.get("choices")
    if not isinstance(choices, list) or len(choices) != _count(params):
        return False
    return all(isinstance(choice, dict) and _chat_choice(choice, tool_calls=tool_calls) for choice in choices)


def _chat_choice(choice: Mapping[str, Any], *, tool_calls: bool) -> bool:
    message, reason = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict) or message.get("refusal"):
        return False
    if message.get("tool_calls") or message.get("function_call"):
        return tool_calls and reason in _CALLED
    return reason == "stop" and _is_text(message.get("content"))


def _completion(params: Mapping[str, Any], body: Mapping[str, Any], _tool_calls: bool) -> bool:  # noqa: FBT001
    choices, prompt = body.get("choices"), params.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    if not isinstance(choices, list) or len(choices) != prompts * _count(params):
        return False
    return all(
        isinstance(choice, dict) and choice.get("finish_reason") == "stop" and _is_text(choice.get("text"))
        for choice in choices
    )


def _response(_params: Mapping[str, Any], body: Mapping[str, Any], tool_calls: bool) -> bool:  # noqa: FBT001
    output = body.get("output")
    if body.get("status") != "completed" or body.get("incomplete_details") or not isinstance(output, list):
        return False
    if not all(isinstance(item, dict) and item.get("status") in (None, "completed") for item in output):
        return False
    messages = [item for item in output if item.get("type") == "message"]
    others = [item for item in output if item.get("type") not in ("message", "reasoning")]
    if others and not tool_calls:
        return False
    return bool(messages or others) and all(map(_is_spoken, messages))


def _is_spoken(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return (
        isinstance(content, list)
        and bool(content)
        and all(
            isinstance(part, dict) and part.get("type") == "output_text" and _is_text(part.get("text"))
            for part in content
        )
    )


def _moderation(params: Mapping[str, Any], body: Mapping[str, Any], _tool_calls: bool) -> bool:  # noqa: FBT001
    results, given = body.get("results"), params.get("input")
    # A list of texts has a result for each; a list of parts is one thing.
    count = len(given) if isinstance(given, list) and given and isinstance(given[0], str) else 1
    if not isinstance(results, list) or len(results) != count:
        return False
    return all(isinstance(result, dict) and isinstance(result.get("flagged"), bool) for result in results)


_JUDGES: Final[Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], bool], bool]]] = {
    "chat.completions": _chat,
    "completions": _completion,
    "moderations": _moderation,
    "responses": _response,
}
"""By endpoint; embeddings are judged one by one."""


def _count(params: Mapping[str, Any]) -> int:
    """How many choices were asked for."""
    count = params.get("n")
    return int(count) if isinstance(count, (int, float)) else 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
