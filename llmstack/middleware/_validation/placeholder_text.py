"""Putting the values back in the place of their placeholders, in whole texts and in texts that come in pieces."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from llmstack.middleware._validation.placeholder import FORM

__all__ = ["Restorer", "escaped", "restored_text", "unescaped"]

_BEGUN: Final = re.compile(r"\[[A-Z]{0,8}(\\{0,2})(_[0-9]{0,6})?", re.ASCII)


def escaped(text: str) -> str:
    """The text as it stands inside a JSON string.

    Args:
        text: Any text.

    Returns:
        It, with quotes, backslashes and control characters escaped.
    """
    return json.dumps(text, ensure_ascii=False)[1:-1]


def unescaped(text: str) -> str:
    """The text that stands inside a JSON string.

    Args:
        text: What is between the quotes.

    Returns:
        It without escapes; as it is if one of them is none.
    """
    if "\\" not in text:
        return text
    try:
        value = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def restored_text(text: str, values: Mapping[str, str], *, in_json: bool) -> str:
    """A text with the values of its placeholders.

    Args:
        text: The text.
        values: What each placeholder stands for; any other stays as it is.
        in_json: True if the text is JSON, so that values are escaped.

    Returns:
        The text; itself if it has none of the placeholders.
    """
    if "[" not in text:
        return text

    def value(found: re.Match[str]) -> str:
        known = values.get(f"[{found[1]}_{found[2]}]")
        if known is None:
            return found.group()
        return escaped(known) if in_json else known

    return FORM.sub(value, text)


class Restorer:
    """The same for one text that comes in pieces: what may be the beginning of a placeholder waits for the rest."""

    __slots__ = ("_held", "_in_json", "_values")

    def __init__(self, values: Mapping[str, str], *, in_json: bool) -> None:
        """Begin a text; the arguments are those of `restored_text`."""
        self._values = values
        self._in_json = in_json
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece, return what may be delivered now."""
        text = self._held + piece
        cut = self._cut(text)
        self._held = text[cut:]
        return restored_text(text[:cut], self._values, in_json=self._in_json)

    def end(self) -> str:
        """The text has ended: return what waited."""
        held, self._held = self._held, ""
        return held

    def _cut(self, text: str) -> int:
        """Where the beginning of a placeholder at the text's end begins; the end if there is none."""
        at = text.rfind("[")
        if at < 0:
            return len(text)
        begun = _BEGUN.fullmatch(text, at)
        if begun is None:
            return len(text)
        plain = begun.group().replace("\\", "")
        # After a backslash nothing but the underscore may follow.
        plain += "_" if begun[1] and not begun[2] else ""
        return at if any(placeholder.startswith(plain) for placeholder in self._values) else len(text)
