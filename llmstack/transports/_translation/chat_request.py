"""A chat completion's request as that of a Response.

Every parameter of the Chat Completions API is in one of three tables: it is the same in both, it is translated, or it
has no counterpart. What is in none of them is a server's own, and passes as it is. Source: the OpenAI API reference,
"Create chat completion" and "Create a model response".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from llmstack.transports._translation.chat_messages import input_items
from llmstack.transports._translation.chat_tools import chosen, format_of, function_tool, tool, web_search
from llmstack.transports._translation.untranslatable import Losses

__all__ = ["NEUTRAL", "SAME", "TRANSLATED", "responses_request", "wants_function_call"]

SAME: Final = frozenset({
    "metadata", "model", "moderation", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention", "safety_identifier", "service_tier", "stream", "temperature", "top_logprobs", "top_p",
    "user",
})  # fmt: skip
"""Parameters that both APIs have."""

NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "audio": (None,),
    "frequency_penalty": (None, 0),
    "logit_bias": (None, {}),
    "modalities": (None, ["text"]),
    "n": (None, 1),
    "prediction": (None,),
    "presence_penalty": (None, 0),
    "seed": (None,),
    "stop": (None, []),
}
"""Parameters without counterpart, with the values that ask for nothing and so pass."""

_NO_COUNTERPART: Final = "has no counterpart in the Responses API"
_LOGPROBS: Final = "message.output_text.logprobs"

_Body = dict[str, Any]


def responses_request(params: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    """Translate the body of a request.

    Args:
        params: The body of ``POST /chat/completions``.
        losses: Where it is noted what the Responses API cannot be asked.

    Returns:
        The body of ``POST /responses``, without what is noted.
    """
    body: _Body = {}
    for name, value in params.items():
        if name in NEUTRAL:
            if value not in NEUTRAL[name]:
                losses.drop(name, _NO_COUNTERPART)
        elif name not in TRANSLATED:
            body[name] = value
    _odd(body, losses)
    for name, translate in TRANSLATED.items():
        value = params.get(name)
        if value is not None:
            translate(body, value, losses)
    # What a chat completion does not store, a Response does unless told not to.
    body.setdefault("store", False)
    if wants_function_call(params):
        body.setdefault("parallel_tool_calls", False)  # a message has room for one `function_call`
    return body


def wants_function_call(params: Mapping[str, Any]) -> bool:
    """Tell whether a program reads ``message.function_call``, as those written before there were tools do.

    Args:
        params: The body of ``POST /chat/completions``.
    """
    return params.get("functions") is not None and not params.get("tools")


def _odd(body: _Body, losses: Losses) -> None:
    """Parameters of the Responses API that a program may have put into ``extra_body``, and that cannot be meant."""
    if body.pop("input", None) is not None:
        losses.drop("input", "says what `messages` say")
    if body.pop("background", None):
        losses.drop("background", "asks for an answer later, which a chat completion cannot be")


def _into(body: _Body, name: str, **fields: Any) -> None:
    """Set fields of an object in the body, which may have others."""
    present = body.get(name)
    body[name] = {**(present if isinstance(present, Mapping) else {}), **fields}


def _also(body: _Body, name: str, *entries: Any) -> None:
    """Add entries to a list in the body, unless they are there."""
    present = body.get(name)
    before = list(present) if isinstance(present, (list, tuple)) else []
    body[name] = [*before, *(entry for entry in entries if entry not in before)]


# One function for each parameter ------------------------------------------------------------------------------------


def _messages(body: _Body, value: Any, losses: Losses) -> None:
    body["input"] = input_items(value, losses)


def _tools(body: _Body, value: Any, _: Losses) -> None:
    body["tools"] = [tool(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _functions(body: _Body, value: Any, _: Losses) -> None:
    if isinstance(value, (list, tuple)):
        _also(body, "tools", *(function_tool(entry) if isinstance(entry, Mapping) else entry for entry in value))


def _tool_choice(body: _Body, value: Any, _: Losses) -> None:
    body["tool_choice"] = chosen(value)


def _function_call(body: _Body, value: Any, _: Losses) -> None:
    body.setdefault("tool_choice", {"type": "function", **value} if isinstance(value, Mapping) else value)


def _web_search(body: _Body, value: Any, _: Losses) -> None:
    if isinstance(value, Mapping):
        _also(body, "tools", web_search(value))


def _response_format(body: _Body, value: Any, _: Losses) -> None:
    _into(body, "text", format=format_of(value))


def _verbosity(body: _Body, value: Any, _: Losses) -> None:
    _into(body, "text", verbosity=value)


def _reasoning_effort(body: _Body, value: Any, _: Losses) -> None:
    _into(body, "reasoning", effort=value)


def _most_tokens(body: _Body, value: Any, _: Losses) -> None:
    body["max_output_tokens"] = value


def _most_tokens_of_old(body: _Body, value: Any, losses: Losses) -> None:
    if body.setdefault("max_output_tokens", value) != value:
        losses.drop("max_tokens", "contradicts `max_completion_tokens`")


def _logprobs(body: _Body, value: Any, _: Losses) -> None:
    if value:
        _also(body, "include", _LOGPROBS)


def _store(body: _Body, value: Any, _: Losses) -> None:
    body["store"] = value


def _stream_options(body: _Body, value: Any, _: Losses) -> None:
    if not isinstance(value, Mapping):
        body["stream_options"] = value
    elif rest := {key: option for key, option in value.items() if key != "include_usage"}:
        body["stream_options"] = rest


TRANSLATED: Final[Mapping[str, Callable[[_Body, Any, Losses], None]]] = {
    "messages": _messages,
    "tools": _tools,
    "functions": _functions,
    "web_search_options": _web_search,
    "tool_choice": _tool_choice,
    "function_call": _function_call,
    "response_format": _response_format,
    "verbosity": _verbosity,
    "reasoning_effort": _reasoning_effort,
    "max_completion_tokens": _most_tokens,
    "max_tokens": _most_tokens_of_old,
    "logprobs": _logprobs,
    "store": _store,
    "stream_options": _stream_options,
}
"""Parameters that are said otherwise, in the order in which they are translated. A null says nothing."""
