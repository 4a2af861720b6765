"""The response around its output: who answered, what was asked, how it ended and what it took.

Fields and what the API says where a request is silent: OpenAI API reference, "The response object".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from llmstack._core.usage import Usage

__all__ = ["Outcome", "envelope", "outcome", "suffix_of"]

Json = dict[str, Any]

_ECHO: Final[Mapping[str, Any]] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and what stands there if the request was silent."""

_REQUIRED: Final = ("parameters", "strict")
"""Fields that a function has in a response and need not have in a request."""

_NOT_HEAD: Final = frozenset({"choices", "created", "error", "metadata", "object", "obfuscation", "type", "usage"})
"""Fields of a completion that are told otherwise, or not at all."""

_unsafe = re.compile(r"[^A-Za-z0-9_-]+").sub

_LONGEST: Final = 64


def suffix_of(completion_id: object, salt: str = "") -> str:
    """What the ids of a response and its items end in.

    Args:
        completion_id: The id of the chat completion.
        salt: What sets this response apart from others, for servers that use an id twice or give none.

    Returns:
        Letters, digits, "-" and "_"; the same for the same arguments.
    """
    known = completion_id if isinstance(completion_id, str) else ""
    own = _unsafe("", known.removeprefix("chatcmpl-"))[:_LONGEST]
    return "_".join(filter(None, (own, salt))) or "0"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a response ended.

    Attributes:
        status: "completed", "incomplete" or "failed"; "in_progress" while it has not.
        incomplete: Why it is incomplete, if it is.
        error: What went wrong, if something did.
    """

    status: str
    incomplete: str | None = None
    error: Json | None = None

    @property
    def item_status(self) -> str:
        """The status of the last item, which is what was cut short if something was."""
        return "completed" if self.status == "completed" else "incomplete"


_CUT: Final = {"content_filter": "content_filter", "length": "max_output_tokens", "max_tokens": "max_output_tokens"}


def outcome(choice: Mapping[str, Any]) -> Outcome:
    """Tell how a response ended from the finish reason of its choice.

    Args:
        choice: The choice; only its `finish_reason`, and the `error` that some gateways put beside, are read.

    Returns:
        The outcome; a reason that is unknown, or not told, is a normal end.
    """
    reason = choice.get("finish_reason")
    if isinstance(reason, str) and reason in _CUT:
        return Outcome("incomplete", _CUT[reason])
    if reason == "error":
        told = choice.get("error")
        message = told.get("message") if isinstance(told, Mapping) else None
        said = message if isinstance(message, str) and message else "The server failed to finish the answer."
        return Outcome("failed", error={"code": "server_error", "message": said})
    return Outcome("completed")


def envelope(
    head: Mapping[str, Any], params: Mapping[str, Any], output: Sequence[Json], end: Outcome, *, suffix: str
) -> Json:
    """Make the body of a response.

    Args:
        head: The chat completion, or as much as is known of it; its choices are not read.
        params: The body of the Responses request.
        output: The output items.
        end: How it ended.
        suffix: What its id ends in; see `suffix_of`.

    Returns:
        The body, with every field that the SDK's type demands.
    """
    created = head.get("created")
    body: Json = {
        "id": f"resp_{suffix}",
        "object": "response",
        "created_at": created if isinstance(created, (int, float)) else 0,
        "completed_at": None,
        "status": end.status,
        "error": end.error,
        "incomplete_details": None if end.incomplete is None else {"reason": end.incomplete},
        **_echo(params),
        "model": head.get("model") or params.get("model") or "",
        "output": [*output],
        "usage": None if end.status == "in_progress" else _usage(head.get("usage")),
    }
    if isinstance(head.get("service_tier"), str):
        body["service_tier"] = head["service_tier"]
    # What a server tells beyond the API, such as a fingerprint or who its provider is.
    more = {name: value for name, value in head.items() if name not in body and name not in _NOT_HEAD}
    return {**body, **more}


def _echo(params: Mapping[str, Any]) -> Json:
    told: Json = {}
    for name, usual in _ECHO.items():
        given = params.get(name)
        if given is None:
            told[name] = deepcopy(usual)  # a response is its program's to change
        elif isinstance(given, Mapping) and name in ("reasoning", "text"):
            told[name] = {**deepcopy(usual), **{key: value for key, value in given.items() if value is not None}}
        else:
            told[name] = given
    told["tools"] = [_tool(tool) for tool in told["tools"]]
    return told


def _tool(tool: Any) -> Any:
    if isinstance(tool, Mapping) and tool.get("type") == "function":
        return {**dict.fromkeys(_REQUIRED), **tool}
    return tool


def _usage(given: Any) -> Json | None:
    """The usage; None if there is none that could be read, so that whoever needs one estimates it."""
    usage = Usage.from_json(given)
    if usage is None:
        return None
    into = given.get("prompt_tokens_details")
    total = given.get("total_tokens")
    written = into.get("cache_write_tokens") if isinstance(into, Mapping) else None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": written if isinstance(written, int) and written >= 0 else 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        # Some count more than the two, such as thoughts.
        "total_tokens": total if isinstance(total, int) and total > usage.total_tokens else usage.total_tokens,
    }
