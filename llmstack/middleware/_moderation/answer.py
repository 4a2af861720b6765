"""Answer: what a complete answer says, or shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmstack import Call, Reply
from llmstack.middleware._moderation.content import LOST, NOTHING, Content
from llmstack.middleware._moderation.ear import Ear
from llmstack.middleware._moderation.picture import pictures_in
from llmstack.middleware._moderation.speech import said_in

__all__ = ["answered", "events_of", "has_answer"]

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
    body = reply.body
    whole = body.get(_ANSWERED.get(call.endpoint, "")) if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) and not reply.events:
        return _raw(call, reply)
    if call.endpoint.startswith("images."):
        return Content(images=tuple(dict.fromkeys(_drawn(call, reply, whole))))
    texts = [text for _, text in said_in(whole, inside=True)]
    images = [*pictures_in(whole)]
    if call.stream and call.endpoint.startswith("audio."):
        texts += _in_events(reply)
    elif call.stream:
        # What the program reads is the events: they may say what the body that was made of them does not.
        heard, shown = _heard(reply)
        texts += [text for text in heard if text not in texts]
        images += shown
    return Content(tuple(texts), tuple(dict.fromkeys(images)))


def events_of(reply: Reply, naming: str = "") -> Iterator[Mapping[str, Any]]:
    """The events of a streamed answer that are JSON objects.

    Args:
        reply: The answer.
        naming: Text that must be in an event; the others, nearly all, need not be read.
    """
    for event in reply.events or ():
        if naming not in event.data:
            continue
        try:
            chunk = event.json()
        except ValueError:
            continue
        if isinstance(chunk, Mapping):
            yield chunk


def _heard(reply: Reply) -> tuple[list[str], list[str]]:
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
    return [*(said.all for said in ear.speeches.values()), *broken], [*ear.images]


def _drawn(call: Call, reply: Reply, images: Any) -> Iterator[str]:
    """The images of an answer; of a stream those of its events, the unfinished ones included."""
    form = call.params.get("output_format")
    entries = [*(images if isinstance(images, list) else ()), *(events_of(reply) if call.stream else ())]
    for image in entries:
        yield from pictures_in(image, form)
        url = image.get("url") if isinstance(image, Mapping) else None
        if isinstance(url, str):
            yield url


def _in_events(reply: Reply) -> list[str]:
    """What the events of a transcript say; no body is made of those."""
    texts = [text for event in events_of(reply) for _, text in said_in(event)]
    return ["".join(texts)] if texts else []


def _raw(call: Call, reply: Reply) -> Content:
    """An answer that is no JSON object, such as a transcript as plain text."""
    if reply.content is None:
        # One that was too large to be kept is the program's to read all the same, unless it has stopped reading.
        return Content(unreadable=(LOST if reply.complete or not call.committed else "answer",))
    text = reply.content.decode("utf-8", "replace")
    return Content((text,)) if text else NOTHING
