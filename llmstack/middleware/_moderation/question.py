"""Question: what a call asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal

from llmstack import Call
from llmstack.middleware._moderation.content import NOTHING, Content, Gathering
from llmstack.middleware._moderation.picture import address_of, pictures_in
from llmstack.middleware._moderation.speech import said_in

__all__ = ["asked", "can_ask"]

Scope = Literal["new", "all"]


def can_ask(call: Call) -> bool:
    """Whether a call may ask something."""
    return call.method == "POST" and call.endpoint in _ASKED


def asked(call: Call, scope: Scope) -> Content:
    """What a call asks.

    Args:
        call: The call.
        scope: ``"new"``: what is new since the last answer, without the program's own instructions; ``"all"``: the
            whole conversation.
    """
    if not can_ask(call):
        return NOTHING
    found = Gathering()
    _ASKED[call.endpoint](found, call.params, scope)
    if not call.params:
        found.unreadable.append("body")  # bytes of the program's own making
    return found.done()


# Messages and items -------------------------------------------------------------------------------------------------


def _conversation(found: Gathering, items: Any, scope: Scope) -> None:
    given = [items] if isinstance(items, Mapping) else items
    messages = [item for item in given if isinstance(item, Mapping)] if isinstance(given, (list, tuple)) else []
    if scope == "new":
        messages = [item for item in messages[_last_answer(messages) :] if item.get("role") not in _PROGRAM]
    for message in messages:
        if len(message) == 2 and type(message.get("content")) is str and type(message.get("role")) is str:  # noqa: PLR2004
            found.add((message["content"],))  # as nearly all are: there is nothing else in it to be looked for
            continue
        # Whatever kind of item it is, and whatever kinds there will be: all its words. Those of one field, such as
        # the parts of its content, are one text.
        fields: dict[str | int, list[str]] = {}
        for path, text in said_in(message):
            fields.setdefault(path[0], []).append(text)
        for texts in fields.values():
            found.add(texts)
        if message.get("role") == "user" and isinstance(message.get("name"), str):
            found.add([message["name"]])
        _look(found, message)


def _take(found: Gathering, value: Any) -> None:
    """Take text: as it is, as a part, or as a list of parts, which the model reads as one."""
    found.add(text for _, text in said_in(value, inside=True))


def _look(found: Gathering, value: Any, depth: int = 0) -> None:
    """Look for images, and for what cannot be looked into."""
    if depth == 0:
        found.images += pictures_in(value)
    if isinstance(value, Mapping):
        kind = value.get("type")
        if isinstance(kind, str) and kind in _CLOSED and address_of(value) is None:
            found.unreadable.append(str(kind))
        value = list(value.values())
    if isinstance(value, (list, tuple)) and depth < _DEPTH:
        for item in value:
            _look(found, item, depth + 1)


_DEPTH: Final = 40
_CLOSED: Final = frozenset(
    {"image_url", "input_image", "image_file", "computer_screenshot", "file", "input_file", "input_audio", "audio_url",
     "video_url", "input_video"}
)  # fmt: skip
_PROGRAM: Final = ("system", "developer")
_ANSWERS: Final = frozenset(
    {"reasoning", "function_call", "custom_tool_call", "web_search_call", "file_search_call", "code_interpreter_call",
     "computer_call", "shell_call", "local_shell_call", "apply_patch_call", "image_generation_call"}
)  # fmt: skip


def _last_answer(messages: list[Mapping[str, Any]]) -> int:
    """Where what is new begins: after the last answer. One at the very end was begun by the program: it is new, too."""
    at = len(messages)
    while at > 0 and _is_answer(messages[at - 1]):
        at -= 1
    while at > 0 and not _is_answer(messages[at - 1]):
        at -= 1
    return at


def _is_answer(message: Mapping[str, Any]) -> bool:
    if "role" in message:
        return bool(message["role"] == "assistant")
    kind = message.get("type")
    return isinstance(kind, str) and kind in _ANSWERS


# The endpoints ------------------------------------------------------------------------------------------------------


def _chat(found: Gathering, params: Mapping[str, Any], scope: Scope) -> None:
    _conversation(found, params.get("messages"), scope)
    prediction = params.get("prediction")
    if isinstance(prediction, Mapping):
        _take(found, prediction.get("content"))


def _response(found: Gathering, params: Mapping[str, Any], scope: Scope) -> None:
    if scope == "all":
        _take(found, params.get("instructions"))
    prompt = params.get("prompt")
    variables = prompt.get("variables") if isinstance(prompt, Mapping) else None
    for value in variables.values() if isinstance(variables, Mapping) else ():
        _take(found, value)
        _look(found, value)
    given = params.get("input")
    if isinstance(given, str):
        _take(found, given)
    else:
        _conversation(found, given, scope)


def _items(found: Gathering, params: Mapping[str, Any], scope: Scope) -> None:
    _conversation(found, params.get("items"), scope)


def _named(*names: str, shows: str = "") -> Callable[[Gathering, Mapping[str, Any], Scope], None]:
    """Of these parameters each by itself; `shows` is an image that goes with them."""

    def take(found: Gathering, params: Mapping[str, Any], _scope: Scope) -> None:
        for name in names:
            value = params.get(name)
            for one in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(one, (int, list, tuple)):
                    found.unreadable.append("tokens")
                else:
                    _take(found, one)
        if shows:
            found.images += pictures_in(params.get(shows))
            if not found.images:
                found.unreadable.append("image")  # uploaded, or told by its id

    return take


_picture = partial(_named, shows="images")
_ASKED: Final[Mapping[str, Callable[[Gathering, Mapping[str, Any], Scope], None]]] = {
    "chat.completions": _chat,
    "responses": _response,
    "responses.compact": _response,
    "conversations": _items,
    "conversations.items": _items,
    "completions": _named("prompt", "suffix"),
    "images.generations": _named("prompt"),
    "images.edits": _picture("prompt"),
    "images.variations": _picture(),
    "audio.speech": _named("input", "instructions"),
    "audio.transcriptions": _named("prompt"),
    "audio.translations": _named("prompt"),
    "videos": _named("prompt"),
    "videos.edits": _named("prompt"),
    "videos.extensions": _named("prompt"),
    "videos.remix": _named("prompt"),
}
"""Endpoints whose calls are judged, and what of them. Embeddings are not: nobody is shown what becomes of them."""
