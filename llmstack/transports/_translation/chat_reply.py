"""A Response as the chat completion that says the same.

What a Response has and a chat completion has no place for is left out: reasoning, calls of built-in tools and their
results, citations of files, and what repeats the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Final

from llmstack.transports._translation.chat_request import wants_function_call

__all__ = ["chat_completion", "citations", "finish_reason", "head", "logprob_rows", "moderation", "parts",
           "problem", "tool_call", "usage"]  # fmt: skip

# Tuples and `str()`: what a server says need not be hashable.
_UNANSWERED: Final = ("failed", "cancelled", "queued", "in_progress")

_CALLS: Final = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
"""The type of a chat's tool call, and where its text is, by the type of the item."""

_USAGE: Final[Mapping[str, str]] = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens",
                 "input_tokens_details": "prompt_tokens_details",
                 "output_tokens_details": "completion_tokens_details"}  # fmt: skip


def problem(response: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tell why a Response is no answer.

    Args:
        response: The body of a Response.

    Returns:
        What an error body of the API has under ``error``; None for an answer, be it cut short.
    """
    error = response.get("error")
    status = response.get("status")
    if isinstance(error, Mapping) and error:
        return {**error}
    if error:
        return {"message": str(error), "code": None}
    if status not in _UNANSWERED:
        return None
    return {"message": f"The response has the status {status!r} and no answer.", "code": None}


def chat_completion(response: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a Response.

    Args:
        response: The body of a Response that `problem` finds nothing wrong with.
        params: The body of the chat's request.

    Returns:
        The body of the chat completion.
    """
    output = response.get("output")
    message: dict[str, Any] = {"role": "assistant", **_said(output), "annotations": citations(output)}
    calls = [call for item in _objects(output) if (call := tool_call(item)) is not None]
    legacy = wants_function_call(params)
    if calls and legacy:
        message["function_call"] = calls[0].get("function")
    elif calls:
        message["tool_calls"] = calls
    rows = [row for part in parts(output, "output_text") for row in logprob_rows(part)]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": rows, "refusal": None} if rows and params.get("logprobs") else None,
        "finish_reason": finish_reason(response, called=bool(calls), legacy=legacy),
    }
    completion = {**head(response, "chat.completion"), "choices": [choice], "usage": usage(response.get("usage"))}
    return {**completion, **moderation(response)}


def head(response: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What tells one completion from another, the same in all chunks of a stream.

    Args:
        response: The Response, whole or as it was announced.
        kind: ``"chat.completion"`` or ``"chat.completion.chunk"``.
    """
    created = response.get("created_at")
    known = isinstance(created, (int, float)) and isfinite(created)
    return {
        "id": response.get("id") or "",
        "object": kind,
        "created": int(created or 0) if known else 0,
        "model": response.get("model") or "",
        "service_tier": response.get("service_tier"),
        "system_fingerprint": None,
    }


def finish_reason(response: Mapping[str, Any], *, called: bool, legacy: bool) -> str:
    """Tell why the model stopped.

    Args:
        response: The Response.
        called: Whether it calls tools.
        legacy: Whether the program knows functions only.
    """
    if response.get("status") == "incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, Mapping) else None
        return "content_filter" if reason == "content_filter" else "length"
    if not called:
        return "stop"
    return "function_call" if legacy else "tool_calls"


def usage(given: Any) -> dict[str, Any] | None:
    """Translate the count of tokens; what it has beside the known stays under its name.

    Args:
        given: The Response's ``usage``; None if it has none.
    """
    if not isinstance(given, Mapping):
        return None
    return {_USAGE.get(str(name), str(name)): count for name, count in given.items()}


def parts(output: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    """The parts of one type in the messages of an output.

    Args:
        output: The Response's ``output``.
        kind: ``"output_text"`` or ``"refusal"``.

    Yields:
        The parts, in order.
    """
    for item in _objects(output):
        if item.get("type") == "message":
            yield from (part for part in _objects(item.get("content")) if part.get("type") == kind)


def citations(output: Any) -> list[dict[str, Any]]:
    """The citations of web pages in an output, the only ones that chat completions know.

    Args:
        output: The Response's ``output``; places are counted from the beginning of each part there, and of the whole
            text here.
    """
    found: list[dict[str, Any]] = []
    offset = 0
    for part in parts(output, "output_text"):
        found += [
            {"type": "url_citation", "url_citation": _citation(annotation, offset)}
            for annotation in _objects(part.get("annotations"))
            if annotation.get("type") == "url_citation"
        ]
        offset += len(_text(part.get("text")))
    return found


def logprob_rows(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The log probabilities of a part, or of a delta, of the text.

    Args:
        part: Who has them. The deltas of a stream come without ``bytes``.
    """
    rows = _objects(part.get("logprobs"))
    return [{"bytes": None, **row, "top_logprobs": _alternatives(row.get("top_logprobs"))} for row in rows]


def tool_call(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """Translate the call of a tool of the program's.

    Args:
        item: An item of the output.

    Returns:
        The entry of ``tool_calls``; None if the item is no such call.
    """
    kind, what = _CALLS.get(str(item.get("type")), ("", ""))
    if not kind:
        return None
    called = {"name": item.get("name") or "", what: _text(item.get(what))}
    return {"id": item.get("call_id") or item.get("id") or "", "type": kind, kind: called}


def moderation(response: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider's moderation found, if it was asked for: one result there, a list of one here.

    Args:
        response: The Response.

    Returns:
        The field ``moderation``, or nothing.
    """
    found = response.get("moderation")
    if not isinstance(found, Mapping):
        return {}
    return {"moderation": {name: _moderated(result) for name, result in found.items()}}


def _moderated(result: Any) -> Any:
    if not isinstance(result, Mapping) or result.get("type") != "moderation_result":
        return result  # an error is the same in both
    return {"type": "moderation_results", "model": result.get("model"), "results": [result]}


def _said(output: Any) -> dict[str, Any]:
    """The text and the refusal of an output, null where there is none."""
    texts = [_text(part.get("text")) for part in parts(output, "output_text")]
    refusals = [_text(part.get("refusal")) for part in parts(output, "refusal")]
    refusal = "".join(refusals) if refusals else None
    return {"content": "".join(texts) if texts else None, "refusal": refusal}


def _citation(annotation: Mapping[str, Any], offset: int) -> dict[str, Any]:
    fields = {name: value for name, value in annotation.items() if name != "type"}
    for name in ("start_index", "end_index"):
        if isinstance(place := fields.get(name), int):
            fields[name] = place + offset
    return fields


def _alternatives(rows: Any) -> list[dict[str, Any]]:
    return [{"bytes": None, **row} for row in _objects(rows)]


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    """The objects of what should be a list of them."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
