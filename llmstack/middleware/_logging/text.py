"""What may stand in a log line: no secret, no control character, nothing endless."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from llmstack.secrets import mask

LONGEST = 1000
"""Characters of a field that is no content: ids and codes are shorter, and servers send what they like."""

GUARD = 4096
"""Characters looked at beyond the cut, so that what straddles it is still known for a secret."""

_DEEPEST = 16
_BITS = 1024

# C0, DEL and C1 (terminal sequences, forged lines), line and paragraph separator, marks that turn the direction of
# reading (Unicode TR 36, "Trojan Source"), the byte order mark, and surrogates, which no encoding can write.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_PLAIN = re.compile(r"[^\s\"=]+")
_BACKSLASHES = re.compile(r'(?<!\\)\\++(?="|\Z)')


def escaped(text: str) -> str:
    r"""The text with control characters written out, as ``\n``, ``\x1b`` or ``\u2028``.

    Args:
        text: Any text.

    Returns:
        A text that is one line, moves no cursor and can be encoded.
    """
    # None of them counts as printable. It is quicker to ask, and most texts are.
    return text if text.isprintable() else _UNSAFE.sub(lambda found: _named(found.group()), text)


def _named(character: str) -> str:
    common = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character)
    code = ord(character)
    return common or (f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}")  # noqa: PLR2004 - one byte


def shown(text: str, limit: int = LONGEST, clean: Callable[[str], str] = mask, *, length: int | None = None) -> str:
    """A text as a log line may show it.

    Args:
        text: Any text, or the first `limit` + `GUARD` characters of one.
        limit: Characters shown at most, not counting escapes and the mark of the cut.
        clean: What masks its secrets.
        length: Characters of the whole text, if `text` is its beginning.

    Returns:
        The text masked, cut and escaped.
    """
    length = len(text) if length is None else length
    if length <= limit and length == len(text):
        return escaped(clean(text))  # whole, also if what stands in the place of a secret is longer
    head = text[: limit + GUARD]
    done = clean(head)
    if len(head) < length:
        # What was cut in two at the end of `head` could not be known for what it is.
        done = done[: max(0, len(done) - GUARD)]
    cut = len(head) < length or (length > limit and len(done) > limit)
    return f"{escaped(done[:limit])}… [{length} characters]" if cut else escaped(done)


def tidy(value: Any, text: Callable[[str], str] = shown, depth: int = 0) -> Any:
    """A JSON value of whatever was given, with all its texts as `text` shows them.

    Args:
        value: Anything.
        text: What is done to each text, keys included.
        depth: How deep in the whole this is.

    Returns:
        A copy of mappings, lists, texts, numbers; other things by their text.
    """
    if type(value) is not str:  # most are; asking for a Mapping takes long, and so comes last
        if value is None or _is_number(value):
            return value
        if isinstance(value, (dict, list, tuple, set, frozenset, Mapping)):
            if depth >= _DEEPEST:
                return "[nested too deep]"
            if isinstance(value, (dict, Mapping)):
                return {text(str(key)): tidy(item, text, depth + 1) for key, item in value.items()}
            return [tidy(item, text, depth + 1) for item in value]
    try:
        return text(str(value))
    except Exception as error:  # noqa: BLE001 - one odd value is not to cost the line
        return f"[cannot be logged: {type(error).__name__}]"


def _is_number(value: Any) -> bool:
    """Whether it is a number of JSON's. Python refuses to write out an endless one, and JSON has no NaN."""
    return math.isfinite(value) if isinstance(value, float) else isinstance(value, int) and value.bit_length() <= _BITS


def told(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a line of ours, ready to be written: those that say something, tidy.

    Args:
        fields: By names that are ours, in which there is nothing to tidy; None for an absent fact.
    """
    present = {name: value for name, value in fields.items() if value is not None}
    # One look at all texts. What is not fit to be shown in one of them is not in the whole: a blank ends each word.
    texts = " ".join([value for value in present.values() if type(value) is str])
    if shown(texts) != texts:
        return {name: tidy(value) for name, value in present.items()}
    return {name: value if type(value) is str or _is_number(value) else tidy(value) for name, value in present.items()}


def as_text(name: str, fields: Mapping[str, Any]) -> str:
    """A line as text: ``llm.call call_id=call_12 outcome=ok tags={"team":"search"}``.

    Args:
        name: The event's name.
        fields: Tidy fields.
    """
    # One look at all texts here, too: mostly none of them needs quotes.
    texts = [value for value in fields.values() if type(value) is str]
    bare = _BARE if all(texts) and _PLAIN.fullmatch("".join(texts)) else _NUMBERS
    return " ".join(
        [name, *[f"{key}={value if type(value) in bare else _valued(value)}" for key, value in fields.items()]]
    )


_NUMBERS: Final = frozenset({int, float})
_BARE: Final = _NUMBERS | {str}
"""What a line shows as Python does; JSON writes finite numbers the same way."""


def _valued(value: Any) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value):
            return value
        # A backslash before a quote would take the escape off it, and what follows would be read as other fields.
        quoted = _BACKSLASHES.sub(r"\g<0>\g<0>", value) if "\\" in value else value
        return '"' + quoted.replace('"', r"\"") + '"'
    return str(value) if type(value) is int else _JSON.encode(value)
