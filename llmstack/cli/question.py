"""Question: what ``llmstack call`` asks, in the words of either API."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from openai import OpenAI

from llmstack.cli.failure import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt and how it is to be asked.

    Attributes:
        prompt: The prompt.
        model: The model.
        system: Instructions for the model.
        stream: True to have the answer as it comes.
        api: The API.
        temperature: How varied the answer is.
        max_tokens: Tokens of the answer at most.
        as_json: True to have the reply as it came, False to have its text.
    """

    prompt: str
    model: str
    system: str | None = None
    stream: bool = False
    api: Literal["chat", "responses"] = "chat"
    temperature: float | None = None
    max_tokens: int | None = None
    as_json: bool = False

    def pieces(self, client: OpenAI) -> Generator[str, None, None]:
        """Ask, and give the output piece by piece: one if it is not streamed."""
        create: Any = client.chat.completions.create if self.api == "chat" else client.responses.create
        if not self.stream:
            reply = create(**self.body())
            yield reply.to_json() if self.as_json else _text(reply)
            return
        with create(**self.body(), stream=True) as stream:
            for event in stream:
                yield event.to_json(indent=None) + "\n" if self.as_json else _piece(event)

    def body(self) -> dict[str, Any]:
        """The arguments of ``create``, without those that were not given."""
        if self.api == "chat":
            messages = [{"role": "system", "content": self.system}] if self.system else []
            asked: dict[str, Any] = {"messages": [*messages, {"role": "user", "content": self.prompt}]}
            asked["max_completion_tokens"] = self.max_tokens
        else:
            asked = {"input": self.prompt, "instructions": self.system, "max_output_tokens": self.max_tokens}
        asked |= {"model": self.model, "temperature": self.temperature}
        return {name: value for name, value in asked.items() if value is not None}


def _text(reply: Any) -> str:
    """The text of a reply; a refusal's if the model refused, a tool call as JSON."""
    if hasattr(reply, "output"):
        refusals = (
            getattr(part, "refusal", "") for item in reply.output for part in getattr(item, "content", None) or ()
        )
        return reply.output_text or "".join(filter(None, refusals))
    message = reply.choices[0].message if reply.choices else None
    return "" if message is None else message.content or message.refusal or ""


def _piece(event: Any) -> str:
    """The text that a streamed event brings; empty for the many that bring none."""
    if hasattr(event, "choices"):
        delta = event.choices[0].delta if event.choices else None
        return "" if delta is None else delta.content or delta.refusal or ""
    wanted = ("response.output_text.delta", "response.refusal.delta")
    return str(event.delta) if event.type in wanted else ""


def prompt_text(given: str) -> str:
    """The prompt; read from standard input if it is ``-``.

    Raises:
        UsageError: If there is none, or it is no text.
    """
    if given != "-":
        return as_text("the prompt", given)
    if sys.stdin.isatty():
        raise UsageError('there is no prompt: llmstack call "..." (or pipe one in)')
    try:
        text = sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is no text in {error.encoding}") from error
    if not text:
        raise UsageError("there is no prompt: standard input is empty")
    return as_text("standard input", text)


def as_text(what: str, given: str) -> str:
    """What was given, if it is text: Python lets bytes that are none pass as half surrogate pairs.

    Raises:
        UsageError: If it is not.
    """
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is no text in {sys.getfilesystemencoding()}") from error
    return given


def tags_of(given: Iterable[str]) -> dict[str, str]:
    """Tags from ``label=value``.

    Raises:
        UsageError: If one has no ``=``.
    """
    tags: dict[str, str] = {}
    for text in given:
        label, equals, value = text.partition("=")
        if not equals or not label.strip():
            raise UsageError(f"--tag {text!r} is not label=value, such as team=search")
        tags[label.strip()] = value.strip()
    return tags
