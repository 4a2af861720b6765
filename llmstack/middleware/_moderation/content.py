"""Content: what there is to be judged in a call and in its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from llmstack import Call, Reply
from llmstack.middleware._moderation.ear import Ear
from llmstack.middleware._moderation.speech import said_in

__all__ = ["LOST", "NOTHING", "Content", "answered", "asked", "events_of", "has_answer", "is_moderated"]

Scope = Literal["new", "all"]


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be judged.

    Attributes:
        texts: Texts, none of them empty.
        images: Addresses of images, or the images themselves as ``data:`` URLs.
        unreadable: What nobody here can look into: files, audio, tokens.
    """

    texts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.texts or self.images or self.unreadable)


NOTHING: Final = Content()
LOST: Final = "answer too large"


class _Gathering:
    """Content while it is being found."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.images: list[str] = []
        self.unreadable: list[str] = []

    def take(self, value: Any) -> None:
        """Take a message's content, in any of the forms that the API knows: text, a part, a list of parts."""
        if isinstance(value, str):
            if value:
                self.texts.append(value)
        elif isinstance(value, Mapping):
            self._part(value)
        elif isinstance(value, Iterable) and not isinstance(value, bytes):
            for part in value:
                self.take(part)
        elif isinstance(value, int) and not isinstance(value, bool) and "tokens" not in self.unreadable:
            self.unreadable.append("tokens")

    def _part(self, part: Mapping[str, Any]) -> None:
        kind = part.get("type")
        for name in ("text", "refusal", "content", "output", "input", "arguments"):
            if name in part:
                self.take(part[name])
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else image
        if isinstance(url, str) and url:
            self.images.append(url)
        elif kind in ("image_url", "input_image", "file", "input_file", "input_audio", "image_file"):
            self.unreadable.append(str(kind))

    def done(self) -> Content:
        """What was found."""
        return Content(tuple(self.texts), tuple(self.images), tuple(self.unreadable))


def asked(call: Call, scope: Scope) -> Content:
    """What a call asks.

    Args:
        call: The call.
        scope: ``"new"``: what is new since the last answer, without the program's own instructions; ``"all"``: the
            whole conversation.
    """
    find = _ASKED.get(call.endpoint) if call.method == "POST" else None
    if find is None:
        return NOTHING
    found = _Gathering()
    find(found, call.params, scope)
    return found.done()


def is_moderated(call: Call) -> bool:
    """Whether there can be anything to judge in a call or its answer."""
    return call.method == "POST" and (call.endpoint in _ASKED or has_answer(call))


# What is asked ------------------------------------------------------------------------------------------------------


def _chat(found: _Gathering, params: Mapping[str, Any], scope: Scope) -> None:
    _conversation(found, params.get("messages"), scope)


def _response(found: _Gathering, params: Mapping[str, Any], scope: Scope) -> None:
    if scope == "all":
        found.take(params.get("instructions"))
    prompt = params.get("prompt")
    if isinstance(prompt, Mapping) and isinstance(prompt.get("variables"), Mapping):
        found.take(list(prompt["variables"].values()))
    given = params.get("input")
    if isinstance(given, str):
        found.take(given)
    else:
        _conversation(found, given, scope)


def _conversation(found: _Gathering, items: Any, scope: Scope) -> None:
    messages = [item for item in items if isinstance(item, Mapping)] if _is_list(items) else []
    if scope == "new":
        messages = [item for item in messages[_last_answer(messages) :] if item.get("role") not in _PROGRAM]
    for message in messages:
        for name in ("content", "output", "input", "arguments", "tool_calls", "function_call", "function"):
            if name in message:
                value = message[name]
                _take_calls(found, value) if name in _CALLS else found.take(value)


def _take_calls(found: _Gathering, value: Any) -> None:
    """The arguments of tool calls, which lie deeper."""
    found.texts += [text for _, text in said_in(value)]


_CALLS: Final = frozenset({"tool_calls", "function_call", "function"})
_PROGRAM: Final = frozenset({"system", "developer"})
_ANSWERS: Final = frozenset(
    {"reasoning", "function_call", "custom_tool_call", "web_search_call", "file_search_call", "code_interpreter_call"}
)


def _last_answer(messages: list[Mapping[str, Any]]) -> int:
    """Where what is new begins: after the last answer. One at the very end was begun by the program: it is new, too."""
    at = len(messages)
    while at > 0 and _is_answer(messages[at - 1]):
        at -= 1
    while at > 0 and not _is_answer(messages[at - 1]):
        at -= 1
    return at


def _is_answer(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "assistant" or ("role" not in message and message.get("type") in _ANSWERS)


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _named(*names: str) -> Callable[[_Gathering, Mapping[str, Any], Scope], None]:
    def take(found: _Gathering, params: Mapping[str, Any], _scope: Scope) -> None:
        for name in names:
            found.take(params.get(name))

    return take


_ASKED: Final[Mapping[str, Callable[[_Gathering, Mapping[str, Any], Scope], None]]] = {
    "chat.completions": _chat,
    "responses": _response,
    "completions": _named("prompt", "suffix"),
    "images.generations": _named("prompt"),
    "images.edits": _named("prompt"),
    "audio.speech": _named("input", "instructions"),
    "videos": _named("prompt"),
    "videos.edits": _named("prompt"),
    "videos.extensions": _named("prompt"),
    "videos.remix": _named("prompt"),
}
"""Endpoints whose calls are judged, and what of them. Embeddings are not: nobody is shown what becomes of them."""


# What is answered ---------------------------------------------------------------------------------------------------

_ANSWERED: Final[Mapping[str, str]] = {
    "chat.completions": "choices",
    "completions": "choices",
    "responses": "output",
    "audio.transcriptions": "text",
    "audio.translations": "text",
    "images.generations": "data",
    "images.edits": "data",
    "images.variations": "data",
}
"""Endpoints whose answers are judged, and where they have what was said or drawn."""


def has_answer(call: Call) -> bool:
    """Whether the answer to a call can be judged."""
    return call.method == "POST" and call.endpoint in _ANSWERED


def answered(call: Call, reply: Reply) -> Content:
    """What a complete answer says, or shows.

    Args:
        call: The call.
        reply: Its answer.
    """
    where = _ANSWERED.get(call.endpoint, "")
    body = reply.body
    if call.endpoint.startswith("images."):
        return Content(images=tuple(_drawn(call, reply))) if isinstance(body, Mapping) or call.stream else _raw(reply)
    texts = [text for _, text in said_in(body.get(where), inside=True)] if isinstance(body, Mapping) else []
    if call.stream and call.endpoint.startswith("audio."):
        texts += _in_events(reply)
    elif call.stream:
        # What the program reads is the events: they may say what the body that was made of them does not.
        texts += [text for text in _heard(reply) if not any(text in known for known in texts)]
    if not (isinstance(body, Mapping) or texts):
        return _raw(reply)
    return Content(tuple(texts), tuple(_generated(body)) if isinstance(body, Mapping) else ())


def _heard(reply: Reply) -> list[str]:
    ear = Ear()
    broken: list[str] = []
    for event in reply.events or ():
        try:
            chunk = event.json()
        except ValueError:
            chunk = None
        if isinstance(chunk, Mapping):
            ear.take(chunk)
        elif event.data and not event.data.startswith("[DONE]"):
            broken.append(event.data)  # who reads line by line sees it
    return [*(said.all for said in ear.speeches.values()), *broken]


def _generated(body: Mapping[str, Any]) -> Iterator[str]:
    """The images that a Response has made."""
    items = body.get("output")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping) and item.get("type") == "image_generation_call":
            url = _data_url(item.get("result"), item.get("output_format"))
            if url is not None:
                yield url


def _drawn(call: Call, reply: Reply) -> Iterator[str]:
    """The images of an answer; of a stream those of its events, the unfinished ones included."""
    body = reply.body
    images = body.get("data") if isinstance(body, Mapping) else None
    entries = [*(images if isinstance(images, list) else ()), *(events_of(reply) if call.stream else ())]
    for image in entries:
        if isinstance(image, Mapping):
            encoded = image.get("b64_json") or image.get("partial_image_b64")
            url = image.get("url") or _data_url(encoded, image.get("output_format") or call.params.get("output_format"))
            if isinstance(url, str):
                yield url


def _data_url(encoded: object, kind: object) -> str | None:
    form = kind if kind in ("jpeg", "webp") else "png"
    return f"data:image/{form};base64,{encoded}" if isinstance(encoded, str) else None


def _in_events(reply: Reply) -> list[str]:
    """What the events of a transcript say; no body is made of those."""
    texts = [text for event in events_of(reply) for _, text in said_in(event)]
    return ["".join(texts)] if texts else []


def events_of(reply: Reply) -> Iterator[Mapping[str, Any]]:
    """The events of a streamed answer that are JSON objects."""
    for event in reply.events or ():
        try:
            chunk = event.json()
        except ValueError:
            continue
        if isinstance(chunk, Mapping):
            yield chunk


def _raw(reply: Reply) -> Content:
    """An answer that is no JSON object, such as a transcript as plain text."""
    if reply.content is None:
        # One that is whole, and too large to have been kept, is the program's to read all the same.
        return Content(unreadable=(LOST if reply.complete else "answer",))
    text = reply.content.decode("utf-8", "replace")
    return Content((text,)) if text else NOTHING
