"""The texts of a request that the model will read: each with its path, and the request with some of them changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import from_json

from llmstack.middleware._validation.placeholder import FORM
from llmstack.middleware._validation.placeholder_text import escaped, unescaped

__all__ = ["Visit", "rewritten"]

Visit = Callable[[str, str, str], str]
"""From a text's path, the name of the member that it is, and itself to what it shall be."""

_ASKED: Final = (
    "instructions", "messages", "input", "prompt", "suffix", "prediction",
    "content", "thread", "additional_instructions", "additional_messages", "query",
    "items", "tool_outputs", "session",
)  # fmt: skip
"""Parameters that are content, of all endpoints; the others say how to answer, or where what is."""

_UNREAD: Final = frozenset({
    "type", "role", "id", "name", "status", "model", "detail", "format", "phase", "object", "version",
    "file_data", "image_url", "file_url", "b64_json", "encrypted_content", "metadata", "logprobs", "embedding",
    "server_label", "namespace", "attachments", "execution", "signature", "cache_control", "tool_resources",
})  # fmt: skip
"""Members that are no text: names, ids, files, addresses that the provider shall load."""

_MEDIA: Final = {"input_audio": "data", "audio": "data", "image_generation_call": "result"}
"""Member of the encoded file, by the name or the type of the object that it is in."""

_DEEPEST: Final = 300

_LITERAL: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"(\s*+:)?', re.DOTALL)


def rewritten(params: Mapping[str, Any], visit: Visit) -> Mapping[str, Any]:
    """The request with each of its texts as `visit` wants it.

    Args:
        params: The request's body.
        visit: Called with each text, in their order.

    Returns:
        A changed copy that shares what is unchanged; the body itself if nothing changed.
    """
    changed: dict[str, Any] = {}
    for name in _ASKED:
        value = params.get(name)
        if value is not None:
            new = _value(value, name, name, visit, 0)
            if new is not value:
                changed[name] = new
    return {**params, **changed} if changed else params


def _value(value: Any, path: str, name: str, visit: Visit, depth: int) -> Any:
    if isinstance(value, str):
        return _in_json(path, value, name, visit)
    if depth > _DEEPEST:
        return value
    if isinstance(value, BaseModel):  # where the SDK leaves one for its encoder: what that will make of it
        plain = value.model_dump(mode="json", exclude_unset=True, by_alias=True)
        new = _mapping(plain, path, name, visit, depth)
        return value if new is plain else new
    if isinstance(value, Mapping):
        return _mapping(value, path, name, visit, depth)
    if isinstance(value, (list, tuple)):
        return _items(value, path, name, visit, depth)
    return value


def _mapping(value: Mapping[Any, Any], path: str, name: str, visit: Visit, depth: int) -> Any:
    kind = value.get("type")
    media = _MEDIA.get(name) or (_MEDIA.get(kind) if isinstance(kind, str) else None)
    changed: dict[Any, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str) or key == media:
            continue
        # What a template's variables are called is the program's: `name` is a text there as any other.
        if name != "variables" and (key in _UNREAD or key.endswith(("_id", "_ids"))):
            continue
        new = _value(item, f"{path}.{key if key.isidentifier() else '*'}", key, visit, depth + 1)
        if new is not item:
            changed[key] = new
    return {**value, **changed} if changed else value


def _items(value: Sequence[Any], path: str, name: str, visit: Visit, depth: int) -> Any:
    if value and set(map(type, value)) <= {int, float}:  # tokens
        return value
    new = [_value(item, f"{path}[{place}]", name, visit, depth + 1) for place, item in enumerate(value)]
    return new if any(one is not other for one, other in zip(new, value, strict=True)) else value


def _in_json(path: str, text: str, name: str, visit: Visit) -> str:
    """JSON text with each of its strings as `visit` wants it; all else stays to the letter.

    Args:
        path: The text's path.
        text: Any text. If it is no JSON, or has no escapes that hide what is in it, it is visited as a whole.
        name: The name of the member that the text is.
        visit: Called with each string, as it reads without its escapes; the name is that of its member.

    Returns:
        The text; itself if nothing changed.
    """
    if "\\" not in text or not _is_json(text):
        new = visit(path, name, text)
        return new if new == text or "\\" in text or not _is_json(text) else _still_json(new)
    pieces: list[str] = []
    at, member = 0, ""
    for found in _LITERAL.finditer(text):
        pieces.append(_bare(path, text[at : found.start()], visit))
        plain = unescaped(found[1])
        is_name = found[2] is not None
        new = visit(path, "" if is_name else member, plain)
        pieces.append(found.group() if new == plain else f'"{escaped(new)}"{found[2] or ""}')
        member = plain if is_name else member
        at = found.end()
    new = "".join((*pieces, _bare(path, text[at:], visit)))
    return text if new == text else new


def _bare(path: str, text: str, visit: Visit) -> str:
    """What stands between two strings; a placeholder in the place of a number is a string."""
    if not any(character.isdigit() for character in text):
        return text
    new = visit(path, "", text)
    return text if new == text else _quoted(new)


def _still_json(text: str) -> str:
    """What was JSON before placeholders were put into it: those in the place of numbers become strings."""
    pieces: list[str] = []
    at = 0
    for found in _LITERAL.finditer(text):
        pieces += [_quoted(text[at : found.start()]), found.group()]
        at = found.end()
    return "".join((*pieces, _quoted(text[at:])))


def _quoted(text: str) -> str:
    return FORM.sub(lambda found: f'"{found.group()}"', text)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return False
    try:
        from_json(text)
    except ValueError:
        return False
    return True
