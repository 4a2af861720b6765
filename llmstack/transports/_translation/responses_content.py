"""The content parts of a Responses request as those of a chat message.

Both kinds of part: OpenAI API reference, `input` of "Create a model response" and `messages` of "Create chat
completion".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from llmstack.transports._translation.untranslatable import Losses

__all__ = ["assistant_content", "chat_content", "entries", "fields", "told", "tool_content"]

Json = dict[str, Any]

_CACHE: Final = "prompt_cache_breakpoint"
"""On a part of any kind, and the same in both APIs."""


_LONGEST: Final = 40
"""Characters of a name told in a message: what should be a name may be anything."""


def told(name: object) -> str:
    """A name that a request gives, as an error message tells it."""
    return repr(name)[:_LONGEST]


def entries(given: Any, losses: Losses, path: str) -> list[tuple[str, Json]]:
    """The objects of what should be a list of them.

    Args:
        given: What a request gives there; null is an empty list.
        losses: Told of what is no object, or no list.
        path: Where it is in the request.

    Returns:
        Each object, after its place.
    """
    if given is None:
        return []
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        losses.refuse(path, "is no list")
        return []
    found: list[tuple[str, Json]] = []
    for at, entry in enumerate(given):
        if isinstance(entry, dict):
            found.append((f"{path}[{at}]", entry))
        else:
            losses.refuse(f"{path}[{at}]", "is no object")
    return found


def fields(given: Any, losses: Losses, path: str) -> Mapping[str, Any]:
    """What should be an object; empty, and told, if it is not."""
    if given is None or isinstance(given, Mapping):
        return given or {}
    losses.refuse(path, "is no object")
    return {}


def chat_content(content: Any, losses: Losses, path: str) -> str | list[Json]:
    """Translate what a user, system or developer message says.

    Args:
        content: Text, or a list of input parts.
        losses: Told of what chat cannot say.
        path: Where the content is in the request.

    Returns:
        Text if it is text, or one part of text and no more; else a list of chat parts.
    """
    if isinstance(content, str):
        return content
    parts = [_part(part, losses, place) for place, part in entries(content, losses, path)]
    return _plain([part for part in parts if part is not None])


def tool_content(output: Any, losses: Losses, path: str) -> str | list[Json]:
    """Translate what a tool answered; in a chat that is text only.

    Args:
        output: Text, or a list of input parts.
        losses: Told of what is no text.
        path: Where the output is in the request.

    Returns:
        Text, or a list of text parts.
    """
    if isinstance(output, str):
        return output
    parts: list[Json] = []
    for place, part in entries(output, losses, path):
        if part.get("type") in ("input_text", "output_text"):
            parts.append(_text(part))
        else:
            losses.refuse(place, f"is {told(part.get('type'))}: what a tool answers can only be text in a chat")
    return _plain(parts)


def assistant_content(content: Any, losses: Losses, path: str) -> Json:
    """Translate what the assistant said earlier.

    Args:
        content: Text, or a list of output parts.
        losses: Told of what chat cannot say.
        path: Where the content is in the request.

    Returns:
        The fields `content` (text or None) and, if it refused, `refusal`, of an assistant message.
    """
    if isinstance(content, str):
        return {"content": content}
    texts: list[str] = []
    refusals: list[str] = []
    for place, part in entries(content, losses, path):
        kind = part.get("type")
        if kind == "refusal":
            refusals.append(_string(part, "refusal"))
        elif kind in ("output_text", "input_text"):
            texts.append(_string(part, "text"))
        else:
            losses.refuse(place, f"is {told(kind)}: an assistant's message is text or a refusal in a chat")
    # Where one part ends and the next begins means nothing; many servers take nothing but a string here.
    said: Json = {"content": "".join(texts) if texts else None}
    return {**said, "refusal": "".join(refusals)} if refusals else said


def _part(part: Json, losses: Losses, path: str) -> Json | None:
    kind = part.get("type")
    if kind in ("input_text", "output_text"):
        return _text(part)
    if kind == "input_image":
        return _image(part, losses, path)
    if kind == "input_file":
        return _file(part, losses, path)
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio"), **_marked(part)}
    losses.refuse(path, f"is {told(kind)}: chat has no such part")
    return None


def _text(part: Json) -> Json:
    return {"type": "text", "text": _string(part, "text"), **_marked(part)}


def _image(part: Json, losses: Losses, path: str) -> Json | None:
    url = part.get("image_url")
    if not isinstance(url, str):
        missing = ".file_id" if part.get("file_id") is not None else ""
        losses.refuse(f"{path}{missing}", "is no `image_url`: chat takes an image only as that, also as a data URL")
        return None
    detail = {} if part.get("detail") is None else {"detail": part["detail"]}
    return {"type": "image_url", "image_url": {"url": url, **detail}, **_marked(part)}


def _file(part: Json, losses: Losses, path: str) -> Json | None:
    if part.get("file_url") is not None:
        losses.refuse(f"{path}.file_url", "has no counterpart in chat: give the file as `file_data`")
        return None
    if part.get("detail") not in (None, "auto"):
        losses.drop(f"{path}.detail", "has no counterpart in chat")
    named = {name: part[name] for name in ("file_data", "file_id", "filename") if part.get(name) is not None}
    return {"type": "file", "file": named, **_marked(part)}


def _marked(part: Json) -> Json:
    return {_CACHE: part[_CACHE]} if part.get(_CACHE) is not None else {}


def _plain(parts: list[Json]) -> str | list[Json]:
    """One part of text is the text: the form that every server knows."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts or ""


def _string(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    return value if isinstance(value, str) else ""
