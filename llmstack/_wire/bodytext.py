"""Request bodies as the bytes that the SDK sends.

The standard library takes each text apart character by character: 130 µs for 100 KB, of a call that takes 400.
pydantic-core writes the same in a quarter of that. It does not write numbers, or what is no plain JSON, as the SDK
does; so long texts are left to it, and the encoder writes what is around them.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from llmstack._wire.sdk_hot import json_text

__all__ = ["json_bytes"]

_LONG: Final = 4_000
"""Characters from which on a text is long."""
_READ: Final = frozenset({"messages", "input", "instructions", "prompt"})
"""Parameters in which there are long texts."""
_DEEPEST: Final = 5
"""How deep in them they are looked for: list, message, content, part, picture."""
_MANY: Final = 32
_ENDS: Final = 4
"""Of a list of many entries only so many at each end are looked at: the looking must cost next to nothing."""

_MARK: Final = f"llmstack-{token_hex(16)}"
"""What stands for a long text. Nobody can know it, so nobody has it in a text of their own."""
_MARKED: Final = f'"{_MARK}"'


def json_bytes(params: Any) -> bytes:
    """The JSON text of a request body, as the SDK makes it.

    Args:
        params: The body.

    Raises:
        Exception: What the SDK raises for what it cannot write.
    """
    texts: list[str] = []
    rest = params
    for name in params if type(params) is dict else ():
        if name in _READ:
            value = params[name]
            marked = _marked(value, texts, _DEEPEST)
            if marked is not value:
                rest = {**rest, name: marked}
    if texts:
        pieces = json_text(rest).split(_MARKED)
        try:
            written = [to_json(text) for text in texts]
        except PydanticSerializationError:  # half a surrogate pair, of which the SDK is to say so
            written = []
        if len(pieces) == len(written) + 1:
            first, *others = [piece.encode() for piece in pieces]
            return b"".join([first, *(part for pair in zip(written, others, strict=True) for part in pair)])
    return json_text(params).encode()


def _marked(value: Any, texts: list[str], depth: int) -> Any:
    """A value with marks in the place of its long texts, which are added to `texts`; the same one if it has none."""
    kind = type(value)
    if kind is str:
        if len(value) < _LONG:
            return value
        texts.append(value)
        return _MARK
    if not depth or (kind is not dict and kind is not list):
        return value
    entries: Any = value.items() if kind is dict else _entries(value)
    changed: Any = None
    for at, entry in entries:
        if type(entry) is str and len(entry) < _LONG:
            continue
        marked = _marked(entry, texts, depth - 1)
        if marked is not entry:
            changed = value.copy() if changed is None else changed
            changed[at] = marked
    return value if changed is None else changed


def _entries(items: list[Any]) -> Any:
    count = len(items)
    if count <= _MANY:
        return enumerate(items)
    return [(at, items[at]) for at in (*range(_ENDS), *range(count - _ENDS, count))]
