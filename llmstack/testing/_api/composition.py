"""What the model says: one decision for chat completions, Responses and Assistants alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmstack.testing._api.answer import Json
from llmstack.testing._api.schema import instance_of
from llmstack.testing._api.text import (
    REFUSAL,
    REFUSAL_MARKER,
    TOOL_MARKER,
    count_tokens,
    first_tokens,
    reply_to,
)


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call the model asks for; ``arguments`` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the decision depends on.

    Attributes:
        text: What the last message says.
        role: Who says it.
        tools: The function tools as ``{"name", "parameters"}``.
        tool_choice: ``"auto"``, ``"none"``, ``"required"``, or an object that names a function.
        form: The schema the text must satisfy, ``{}`` for any JSON object, ``None`` for prose.
        most: The most output tokens, or ``None``.
        index: Which of several choices this is.
    """

    text: str
    role: str = "user"
    tools: Sequence[Json] = ()
    tool_choice: object = None
    form: Json | None = None
    most: int | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class Composition:
    """The outcome: text, or calls, or a refusal; ``truncated`` if the token limit cut the text."""

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    refusal: str | None = None
    truncated: bool = False

    @property
    def tokens(self) -> int:
        """How many output tokens this is, by the token rule."""
        spoken = count_tokens(self.text) + count_tokens(self.refusal or "")
        return spoken + sum(count_tokens(call.name) + count_tokens(call.arguments) for call in self.calls)


def compose(prompt: Prompt) -> Composition:
    """Decide the answer to ``prompt``; the same prompt always gets the same answer."""
    calls = _calls(prompt)
    if calls:
        return Composition(calls=calls)
    if REFUSAL_MARKER in prompt.text:
        return Composition(refusal=REFUSAL)
    text = _text(prompt)
    if prompt.most is not None and count_tokens(text) > prompt.most:
        return Composition(text=first_tokens(text, prompt.most), truncated=True)
    return Composition(text=text)


def _text(prompt: Prompt) -> str:
    if prompt.form is None:
        return reply_to(prompt.text, role=prompt.role, index=prompt.index)
    value = instance_of(prompt.form, prompt.text) if prompt.form else {"answer": prompt.text}
    return json.dumps(value, ensure_ascii=False)


def _calls(prompt: Prompt) -> tuple[FunctionCall, ...]:
    if not prompt.tools or prompt.tool_choice == "none":
        return ()
    named = _named(prompt.tool_choice)
    wanted = [tool for tool in prompt.tools if named is None or tool["name"] == named]
    marked = prompt.text.count(TOOL_MARKER) if prompt.role == "user" else 0
    demanded = prompt.tool_choice == "required" or named is not None
    if not wanted or not (marked or demanded):
        return ()
    return tuple(_call(wanted[i % len(wanted)], prompt.text) for i in range(max(1, marked)))


def _named(tool_choice: object) -> str | None:
    """The function an object-shaped ``tool_choice`` names: nested in chat completions, flat in Responses."""
    if not isinstance(tool_choice, Mapping):
        return None
    function: Any = tool_choice.get("function", tool_choice)
    name = function.get("name")
    return str(name) if name is not None else None


def _call(tool: Json, text: str) -> FunctionCall:
    parameters = tool.get("parameters") or {"type": "object", "properties": {}}
    return FunctionCall(str(tool["name"]), json.dumps(instance_of(parameters, text), ensure_ascii=False))
