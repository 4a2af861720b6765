"""A Responses request as a chat request.

Which parameter becomes what, and which has no counterpart, is in the tables here and in docs/transport-chat.md. A
parameter that no table names is not ours to judge: it goes on as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from llmstack.transports._translation.responses_content import fields, told
from llmstack.transports._translation.responses_input import Conversation, input_items
from llmstack.transports._translation.responses_tools import chat_format, chat_tool_choice, chat_tools
from llmstack.transports._translation.untranslatable import Losses

__all__ = ["PASSED", "REFUSED", "TRANSLATED", "ChatStyle", "chat_params"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatStyle:
    """What differs among the servers of chat completions.

    Attributes:
        max_tokens_field: What the bound of the output is called.
        system_role: The role of instructions, and of developer messages.
        stream_usage: True to ask for the usage of a stream, which comes only on request.
        reasoning_field: Where an assistant's message has what the model thought; None to leave that out.
    """

    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    system_role: Literal["system", "developer"] = "system"
    stream_usage: bool = True
    reasoning_field: Literal["reasoning_content", "reasoning"] | None = None


TRANSLATED: Final = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "parallel_tool_calls",
        "reasoning",
        "stream_options",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
    }
)
"""Parameters that chat says otherwise, or only together with others."""

PASSED: Final = frozenset(
    {
        "metadata",
        "model",
        "moderation",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "temperature",
        "top_p",
        "user",
    }
)
"""Parameters that are the same in both APIs; a null says nothing and is left out."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a parameter has no counterpart.

    Attributes:
        why: The rest of a sentence that begins with its name.
        neutral: Values beside null that ask for nothing.
        fatal: True if the request makes no sense without it.
    """

    why: str
    neutral: tuple[Any, ...] = ()
    fatal: bool = False


_STATE: Final = "needs a server that keeps state: send the whole conversation as `input`"

REFUSED: Final[Mapping[str, _Refusal]] = {
    "access_programs": _Refusal("has no counterpart in chat", ({},)),
    "background": _Refusal("needs a server that keeps responses: leave it out, and wait for the answer", (False,)),
    "context_management": _Refusal("needs a server that compacts conversations", ([],)),
    "conversation": _Refusal(_STATE, fatal=True),
    "image": _Refusal("has no counterpart in chat", ({}, {"context_compression": "auto"})),
    "max_tool_calls": _Refusal("counts calls of built-in tools, which chat has not"),
    "messages": _Refusal("is chat's name: give the conversation as `input`", fatal=True),
    "n": _Refusal("asks for several answers, and a response is one", (1,)),
    "previous_response_id": _Refusal(f"{_STATE}, or give the transport a store", fatal=True),
    "prompt": _Refusal("names a template that only OpenAI keeps: send its text instead", fatal=True),
    "truncation": _Refusal("needs a server that shortens conversations: shorten `input` yourself", ("disabled",)),
}
"""Parameters without counterpart. `messages` and `n` are no parameters of the API, and would spoil the translation."""

_LOGPROBS: Final = "message.output_text.logprobs"


def chat_params(
    params: Mapping[str, Any], losses: Losses, style: ChatStyle | None = None, *, earlier: Sequence[Any] = ()
) -> Json:
    """Translate the body of a Responses request.

    Args:
        params: The body of a request to ``/responses``.
        losses: Told of what chat cannot say.
        style: How the server wants to be asked; None for the usual way.
        earlier: Items of the conversation that come before `input`.

    Returns:
        The body of a request to ``/chat/completions``.
    """
    style = style or ChatStyle()
    conversation = Conversation(losses, system_role=style.system_role, reasoning_field=style.reasoning_field)
    conversation.instruct(params.get("instructions"))
    conversation.extend(earlier, "previous_response_id")
    conversation.extend(input_items(params.get("input")), "input")
    body: Json = {"messages": conversation.messages, **_plain(params, losses)}
    body |= _tools(params, losses)
    body |= _text(params.get("text"), losses)
    body |= _reasoning(params.get("reasoning"), losses)
    body |= _logprobs(params, losses)
    if params.get("max_output_tokens") is not None:
        body[style.max_tokens_field] = params["max_output_tokens"]
    if params.get("stream"):
        given = fields(params.get("stream_options"), losses, "stream_options")
        options = {**({"include_usage": True} if style.stream_usage else {}), **given}
        if options:
            body["stream_options"] = options
    return body


def _plain(params: Mapping[str, Any], losses: Losses) -> Json:
    """What needs no translation; and what can have none."""
    plain: Json = {}
    for name, value in params.items():
        if name in REFUSED:
            refusal = REFUSED[name]
            if value is not None and value not in refusal.neutral:
                (losses.refuse if refusal.fatal else losses.drop)(name, refusal.why)
        elif name not in TRANSLATED and not (name in PASSED and value is None):
            plain[name] = value
    return plain


def _tools(params: Mapping[str, Any], losses: Losses) -> Json:
    """Tools and what is said about them, which servers refuse where there are none."""
    tools = chat_tools(params.get("tools"), losses)
    choice = chat_tool_choice(params.get("tool_choice"), losses)
    said: Json = {}
    if tools:
        said["tools"] = tools
        if params.get("parallel_tool_calls") is not None:
            said["parallel_tool_calls"] = params["parallel_tool_calls"]
    if choice is not None and (tools or choice not in ("auto", "none")):
        said["tool_choice"] = choice
    return said


def _text(text: Any, losses: Losses) -> Json:
    said: Json = {}
    for name, value in fields(text, losses, "text").items():
        if name == "format":
            form = chat_format(value, losses)
            if form is not None:
                said["response_format"] = form
        elif name == "verbosity":
            if value is not None:
                said["verbosity"] = value
        elif value is not None:
            losses.drop(f"text.{name}", "has no counterpart in chat")
    return said


_UNTOLD: Final = {"context": ("auto",), "mode": ("standard",)}
"""What `reasoning` may say that asks for nothing."""


def _reasoning(reasoning: Any, losses: Losses) -> Json:
    said: Json = {}
    for name, value in fields(reasoning, losses, "reasoning").items():
        if value is None or value in _UNTOLD.get(name, ()):
            continue
        if name == "effort":
            said["reasoning_effort"] = value
        else:
            losses.drop(f"reasoning.{name}", "has no counterpart in chat")
    return said


def _logprobs(params: Mapping[str, Any], losses: Losses) -> Json:
    include = params.get("include") or ()
    wanted: list[Any] = list(include) if isinstance(include, (list, tuple)) else [include]
    for name in wanted:
        if name != _LOGPROBS:
            losses.drop("include", f"asks for {told(name)}, which chat does not give")
    most = params.get("top_logprobs")
    if not (most or _LOGPROBS in wanted):
        return {}
    return {"logprobs": True, **({"top_logprobs": most} if most else {})}
