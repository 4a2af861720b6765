"""Deterministic text: markers, the reply's template, the token rule.

**The token rule**: a text of *n* characters has ``ceil(n / 4)`` tokens, and a streamed reply is cut into pieces of
four characters, so that one piece is one token. Every message of a prompt adds `TOKENS_PER_MESSAGE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TOOL_MARKER = "CALL_TOOL"
"""In the last user message: call the request's tools, as many calls as the marker occurs."""

REFUSAL_MARKER = "REFUSE_ME"
"""In the last message: the model refuses."""

FLAG_MARKER = "FLAG_ME"
"""In the input of a moderation: it is flagged as violence."""

MISSING_MODEL = "no-such-model"
"""The one model name that does not exist (404, ``model_not_found``)."""

CREATED = 1_700_000_000
"""Every ``created`` and ``created_at``, in seconds since 1970."""

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4

REFUSAL = "I'm sorry, I can't assist with that."


def count_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def split_tokens(text: str) -> list[str]:
    return [text[i : i + CHARACTERS_PER_TOKEN] for i in range(0, len(text), CHARACTERS_PER_TOKEN)]


def first_tokens(text: str, tokens: int) -> str:
    return text[: max(0, tokens) * CHARACTERS_PER_TOKEN]


def reply_to(text: str, *, role: str = "user", index: int = 0) -> str:
    """The answer to a message: ``You said: <text>``, ``Tool said: <text>`` after a tool's result.

    The choices after the first end in their number, so that they can be told apart.
    """
    speaker = "Tool" if role in {"tool", "function"} else "You"
    return f"{speaker} said: {text}" + (f" ({index + 1})" if index else "")


def text_of(content: object) -> str:
    """The text of a message's content: a string, or the text parts of a list joined by spaces."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        text = content.get("text") or content.get("refusal") or ""
        # an assistant's text block nests once more: {"text": {"value": ...}}
        return str(text.get("value", "")) if isinstance(text, Mapping) else str(text)
    if isinstance(content, Iterable):
        return " ".join(filter(None, (text_of(part) for part in content)))
    return ""
