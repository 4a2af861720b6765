"""Content for the log, where the program asked for it: what a request says and what was answered, within bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmstack import Reply
from llmstack.middleware._logging.text import GUARD, shown, tidy

_ASKED = ("instructions", "messages", "input", "prompt", "suffix", "prediction", "query")
"""Parameters that are content; the others say how to answer."""

_ANSWERED = ("choices", "output", "text", "segments", "data")

_UNTOLD = frozenset({"logprobs", "encrypted_content", "words", "token_logprobs"})
"""Parts of an answer that are no text that anybody would read."""

_MEDIA = frozenset({"b64_json", "file_data", "embedding", "partial_image_b64"})
"""Names under which a text is an encoded file or vector, however short."""

_DEEPEST = 16
_MOST = 1000
"""Values taken at most, whatever their size."""

_SHORT = 16
"""Characters of a text, such as a role, that does not count against the limit; numbers in a list that may be shown."""

_BLOB = re.compile(r"[A-Za-z0-9+/_-]{256,}+=*+")
_DATA_URL = re.compile(r"data:([\w/+.-]{0,100}+)[^,\s]{0,100}?;base64,[A-Za-z0-9+/_=-]*+")


@dataclass(frozen=True, slots=True)
class _Cut:
    """The beginning of a text, and how long the whole is."""

    head: str
    limit: int
    length: int


class Capture:
    """Takes what can be logged of a request or an answer: at most so many characters of text, the newest first.

    It runs in the caller's thread, so it only looks and cuts; what costs time is done in the background.
    """

    def __init__(self, limit: int) -> None:
        """Take at most `limit` characters, and beyond them what is needed to recognise secrets."""
        self._room = limit
        self._left = _MOST

    def request(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The content of a request's body; a copy, since the program may go on changing what it sent."""
        present = [name for name in _ASKED if params.get(name) is not None]
        taken = {name: self._take(params[name], name, 0) for name in reversed(present)}
        return {name: taken[name] for name in present}

    def answer(self, reply: Reply) -> Any:
        """The content of a reply."""
        body = reply.body
        if isinstance(body, Mapping):
            return {name: self._take(body[name], name, 0) for name in _ANSWERED if body.get(name) is not None}
        return None if reply.content is None else f"[{len(reply.content)} bytes]"

    def _take(self, value: Any, name: str, depth: int) -> Any:
        self._left -= 1
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (Mapping, list, tuple)):
            if depth >= _DEEPEST:
                return "[nested too deep]"
            return self._mapping(value, name, depth) if isinstance(value, Mapping) else self._list(value, name, depth)
        if value is None or isinstance(value, (int, float)):
            return value
        return f"[{len(value)} bytes]" if isinstance(value, (bytes, bytearray)) else f"[{type(value).__name__}]"

    def _mapping(self, value: Mapping[Any, Any], name: str, depth: int) -> Any:
        kept = [(str(key), item) for key, item in value.items() if key not in _UNTOLD and item is not None]
        if len(kept) > self._left:
            return f"[{len(kept)} entries]"
        audio = name in ("input_audio", "audio")
        return {
            key: _size(item)
            if isinstance(item, str) and (key in _MEDIA or (audio and key == "data"))
            else self._take(item, key, depth + 1)
            for key, item in kept
        }

    def _list(self, value: Sequence[Any], name: str, depth: int) -> Any:
        if len(value) > _SHORT and all(type(item) in (int, float) for item in value[: _SHORT + 1]):
            return f"[{len(value)} numbers]"
        taken: list[Any] = []
        for place in range(len(value) - 1, -1, -1):  # the newest message is the one that matters most
            if self._room <= 0 or self._left <= 0:
                taken.append(f"[{place + 1} more]")
                break
            taken.append(self._take(value[place], name, depth + 1))
        taken.reverse()
        return taken

    def _text(self, text: str) -> Any:
        if ";base64," in text:  # before the cut, so that a file in the midst of a text does not hide the text
            text = _DATA_URL.sub(lambda found: f"[{found.group(1)}, {len(found.group())} characters]", text)
        if _BLOB.fullmatch(text):
            return _size(text)
        if len(text) <= _SHORT:
            return _Cut(text, len(text), len(text))
        if self._room <= 0:
            return f"[{len(text)} characters]"
        room = self._room
        self._room -= len(text)
        return _Cut(text[: room + GUARD], room, len(text))


def _size(text: str) -> str:
    return f"[{len(text)} characters of data]"


def cleaned(captured: Any, clean: Callable[[str], str]) -> Any:
    """What was captured, ready for a log line.

    Args:
        captured: What `Capture` took.
        clean: What masks secrets and redacts.

    Returns:
        Its JSON value, every text cleaned, cut and escaped.
    """
    if isinstance(captured, _Cut):
        return shown(captured.head, captured.limit, lambda head: clean(_without_data(head)), length=captured.length)
    if isinstance(captured, Mapping):
        return {shown(key): cleaned(item, clean) for key, item in captured.items()}
    if isinstance(captured, list):
        return [cleaned(item, clean) for item in captured]
    return tidy(captured)


def _without_data(text: str) -> str:
    """The text without the encoded files that are written in it."""
    return _BLOB.sub(lambda found: _size(found.group()), text)
