"""Chunks that repeat the one before but for the piece of text that they bring, as nearly all do.

Of such a chunk the text is cut out where it must be, which takes a quarter of the time of parsing it and adding it up.
Where it is, is found by trial once: it is where another text makes a chunk that differs in nothing else.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llmstack._wire.jsontext import MALFORMED, is_json, parse

__all__ = ["Repeated"]

_plain: Final = re.compile(r'[^"\\\x00-\x1f]*').fullmatch
"""What stands in a JSON string for itself."""
_opening: Final = {name: re.compile(rf'"{name}"\s*:\s*"').finditer for name in ("content", "obfuscation")}
_OTHER: Final = "another text than any that was sent"
_TRIALS: Final = 4
"""How often it is tried to learn in a stream: one whose chunks take turns would cost more than it saves."""

_PARSES: Final = 16
"""How many chunks are parsed only to learn from them, which takes twice as long as seeing that they are JSON."""


class Repeated:
    """Recognises the chunks of a chat completion that are like one that was parsed."""

    __slots__ = ("_between", "_head", "_like", "_parses", "_tail", "_trials")

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._like: dict[str, Any] | None = None  # what was learnt, but for text and padding
        self._head = self._tail = ""
        self._between: str | None = None  # what stands between the text and the padding, if there is any
        self._trials = _TRIALS
        self._parses = _PARSES

    def text(self, data: str) -> str | None:
        """Return the text that a chunk brings.

        Parameters:
            data: JSON text.

        Returns:
            The `content` of its delta; None if it is not just like the chunk that was learnt.
        """
        head, tail = self._head, self._tail
        if self._like is None or not (data.startswith(head) and data.endswith(tail)):
            return None
        end = len(data) - len(tail)
        if end < len(head):  # a quote is the end of the one and the beginning of the other
            return None
        text = data[len(head) : end]
        if self._between is not None:
            text, between, padding = text.partition(self._between)
            if not between or _plain(padding) is None:
                return None
        return text if _plain(text) else None

    def reads(self, data: str) -> bool:
        """Tell whether a chunk is JSON, and learn from it, unless that has proved to be of little use.

        Parameters:
            data: Its text, which is not just like the chunk that was learnt.
        """
        if not self._parses:
            return is_json(data)
        self._parses -= 1
        chunk = parse(data)
        if isinstance(chunk, dict):
            self.learn(data, chunk)
        return chunk is not MALFORMED

    def learn(self, data: str, chunk: dict[str, Any]) -> bool:
        """Take a chunk as that which others may be like. What was known is forgotten, unless this one is like it, too.

        Parameters:
            data: JSON text.
            chunk: What it says.

        Returns:
            True if others of its kind will be recognised.
        """
        if not _brings_text(chunk):
            self._like = None
        elif not self._is_like(chunk):
            # A text with escapes is found by no trial, but another one soon will be.
            self._like = self._learnt(data, chunk) if self._trials and _plain(_delta(chunk)["content"]) else None
        return self._like is not None

    def _is_like(self, chunk: dict[str, Any]) -> bool:
        like = self._like
        if like is None:
            return False
        _delta(like)["content"] = _delta(chunk)["content"]
        if self._between is not None:
            like["obfuscation"] = chunk.get("obfuscation")
        return like == chunk

    def _learnt(self, data: str, chunk: dict[str, Any]) -> dict[str, Any] | None:
        self._trials -= 1
        found = _place(data, chunk, "content")
        if found is None:
            return None
        start, end, like = found
        self._head, self._tail, self._between = data[:start], data[end:], None
        if isinstance(chunk.get("obfuscation"), str):
            padding = _place(data, chunk, "obfuscation")
            if padding is None or padding[0] < end:
                return None
            self._between, self._tail = data[end : padding[0]], data[padding[1] :]
        return like


def _brings_text(chunk: dict[str, Any]) -> bool:
    """Tell whether of all that a chunk says only a piece of text adds to what the same chunk said before."""
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    delta = choice.get("delta") if isinstance(choice, dict) and choice.get("logprobs") is None else None
    if not isinstance(delta, dict) or not isinstance(delta.get("content"), str):
        return False
    return all(value is None or name in ("content", "role") for name, value in delta.items())


def _place(data: str, chunk: dict[str, Any], name: str) -> tuple[int, int, dict[str, Any]] | None:
    """Find where the text of a chunk stands, or its padding; None if that cannot be told.

    Returns:
        Where it begins and ends, and the chunk anew.
    """
    for opening in _opening[name](data):
        start = opening.end()
        end = data.find('"', start)
        changed = parse(f"{data[:start]}{_OTHER}{data[end:]}") if _plain(data[start:end]) else None
        if not isinstance(changed, dict) or not (name == "obfuscation" or _brings_text(changed)):
            continue
        new, old = (changed, chunk) if name == "obfuscation" else (_delta(changed), _delta(chunk))
        if new.get(name) == _OTHER:
            new[name] = old[name]
            if changed == chunk:
                return start, end, changed
    return None


def _delta(chunk: dict[str, Any]) -> dict[str, Any]:
    delta: dict[str, Any] = chunk["choices"][0]["delta"]
    return delta
