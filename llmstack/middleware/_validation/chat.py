"""Chat: messages, their parts, and the pairing of tool calls with their results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmstack.middleware._validation.finding import Findings, a, is_array, is_object, kind
from llmstack.middleware._validation.sampling import check_logit_bias, check_metadata, check_stop, check_stream_options
from llmstack.middleware._validation.tools import check_format, check_functions, check_tool_choice, check_tools

_CHECKED: Final = frozenset({
    "tools", "functions", "tool_choice", "response_format", "stop", "logit_bias", "metadata", "stream_options",
    "top_logprobs", "max_tokens",
})  # fmt: skip
"""Parameters besides the messages that are looked at here; most calls have none of them."""

_NEEDS_CONTENT: Final = frozenset({"developer", "system", "tool", "user"})
_CLOSING: Final = frozenset({"assistant", "user"})
_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "text": ("text",),
    "refusal": ("refusal",),
    "image_url": ("image_url", "url"),
    "input_audio": ("input_audio", "data"),
    "file": ("file",),
}
"""For each kind of part what it cannot be without: a field, and a field of that."""


def check_chat(params: Mapping[str, Any], found: Findings, *, stream: bool) -> None:
    """Check a chat completion's parameters for what their kinds and ranges do not tell."""
    check_messages(params, found)
    if _CHECKED.isdisjoint(params):
        return
    names = check_tools(params, found, nested=True)
    check_functions(params, found)
    check_tool_choice(params.get("tool_choice"), names, found, nested=True)
    check_format(params.get("response_format"), "response_format", found, nested=True)
    check_stop(params, found)
    check_logit_bias(params, found)
    check_metadata(params, found)
    check_stream_options(params, found, stream=stream)
    if params.get("top_logprobs") and params.get("logprobs") is not True:  # 0 asks for nothing
        found.add("top_logprobs", "is taken only with logprobs=True")
    if params.get("max_tokens") is not None and params.get("max_completion_tokens") is not None:
        found.add("max_tokens", "give either max_tokens or max_completion_tokens, not both")


def check_messages(params: Mapping[str, Any], found: Findings) -> None:
    """Check the conversation."""
    messages: Any = params.get("messages")
    if messages is None:
        found.add("messages", "is missing", everywhere="prompt" not in params)  # which OpenRouter takes instead
        return
    if not is_array(messages):
        if kind(messages):  # an iterator can be sent, but not looked into
            found.add("messages", f"must be an array, not {a(kind(messages))}", everywhere=True)
        return
    if not messages:
        found.add("messages", "must have at least one message")
    pairing = Pairing(found)
    for i, message in enumerate(messages):
        role = message.get("role") if is_object(message) else None
        if not isinstance(role, str):
            _check_author(message, i, found)
            pairing.blind |= not kind(message)  # such as a model of pydantic: its calls are not seen
            continue
        if type(message.get("content")) is not str:
            _check_content(message, role, f"messages[{i}]", found)
        if role == "tool" or role == "assistant" or pairing.waiting:  # noqa: PLR1714 - on the way of every message
            pairing.take(message, role, i)
    pairing.end()


def _check_author(message: Any, i: int, found: Findings) -> None:
    if not is_object(message):
        if kind(message):
            found.add(f"messages[{i}]", f"must be an object, not {a(kind(message))}", everywhere=True)
        return
    role = message.get("role")
    if role is None:
        found.add(f"messages[{i}].role", "is missing", everywhere=True)
    elif not isinstance(role, str):
        found.add(f"messages[{i}].role", f"must be a string, not {a(kind(role))}", everywhere=True)


def _check_content(message: Mapping[str, Any], role: str, path: str, found: Findings) -> None:
    content = message.get("content")
    if content is None:
        if role in _NEEDS_CONTENT:
            found.add(f"{path}.content", "is missing" if "content" not in message else "must not be null")
        elif role == "assistant" and not any(message.get(name) for name in _SAYS_SOMETHING):
            found.add(f"{path}.content", "is missing, and there are no tool_calls")
    elif is_array(content):
        if not content:
            found.add(f"{path}.content", "must have at least one part")
        for i, part in enumerate(content):
            _check_part(part, f"{path}.content[{i}]", found)
    elif kind(content) not in ("string", "object", ""):
        # An object is for servers of their own kind; the SDK's types say whether OpenAI takes it.
        found.add(f"{path}.content", f"must be a string or an array, not {a(kind(content))}", everywhere=True)


_SAYS_SOMETHING = ("tool_calls", "function_call", "audio", "refusal")


def _check_part(part: Any, path: str, found: Findings) -> None:
    if not is_object(part):
        if kind(part):
            found.add(path, f"must be an object, not {a(kind(part))}")
        return
    offered = part.get("type")
    if offered is None:
        found.add(f"{path}.type", "is missing")
        return
    inner: Any = part
    for name in _PARTS.get(offered, ()) if isinstance(offered, str) else ():
        if not is_object(inner):
            return
        path = f"{path}.{name}"
        inner = inner.get(name)
        if inner is None:
            found.add(path, "is missing")
            return


class Pairing:
    """Follows tool calls and their results through a conversation.

    Attributes:
        waiting: The calls of the last assistant message that have no result yet, with their paths.
        blind: True if a message could not be looked into: it may have the calls and results that others lack.
    """

    __slots__ = ("_answered", "_found", "_known", "blind", "waiting")

    def __init__(self, found: Findings) -> None:
        """Nothing has been called yet."""
        self._found = found
        self._known: set[str] = set()
        self._answered: set[str] = set()
        self.waiting: dict[str, str] = {}
        self.blind = False

    def take(self, message: Mapping[str, Any], role: str, i: int) -> None:
        """The next message."""
        if role == "tool":
            self._take_result(message, f"messages[{i}].tool_call_id")
        elif role in _CLOSING:
            self._close()
            calls = message.get("tool_calls") if role == "assistant" else None
            if is_array(calls):
                self._take_calls(calls, f"messages[{i}].tool_calls")

    def end(self) -> None:
        """The conversation is over."""
        self._close()

    def _close(self) -> None:
        for path in () if self.blind else self.waiting.values():
            self._found.add(path, "this call has no tool message with its result")
        self.waiting.clear()
        self._answered.clear()

    def _take_result(self, message: Mapping[str, Any], path: str) -> None:
        called = message.get("tool_call_id")
        if called is None:
            self._found.add(path, "is missing")
        elif not isinstance(called, str):
            return
        elif called in self._answered:
            self._found.add(path, "this call has a result already")
        elif called not in self._known:
            if self.blind:
                return
            self._found.add(path, "no such call")
        else:
            self.waiting.pop(called, None)
            self._answered.add(called)

    def _take_calls(self, calls: Any, path: str) -> None:
        if not calls:
            self._found.add(path, "must have at least one call, or be left out")
        for i, call in enumerate(calls):
            where = f"{path}[{i}]"
            if not is_object(call):
                continue
            called = call.get("id")
            if called is None:
                self._found.add(f"{where}.id", "is missing")
            elif isinstance(called, str):
                if called in self.waiting:
                    self._found.add(f"{where}.id", "another call has this id", sure=False)
                self.waiting[called] = f"{where}.id"
                self._known.add(called)
            self._check_function(call, where)

    def _check_function(self, call: Mapping[str, Any], path: str) -> None:
        offered = call.get("type")
        if offered is None:
            self._found.add(f"{path}.type", "is missing")
        if offered != "function":
            return
        function = call.get("function")
        if function is None:
            self._found.add(f"{path}.function", "is missing")
        elif is_object(function):
            for name in ("name", "arguments"):
                if function.get(name) is None:
                    self._found.add(f"{path}.function.{name}", "is missing")
