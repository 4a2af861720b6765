"""Writing the chunks of a replayed completion, chat or legacy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from llmstack._wire.jsontext import write
from llmstack._wire.sse import ServerSentEvent

__all__ = ["chunks", "indexed", "objects", "pieces"]

_DONE: Final = ServerSentEvent(data="[DONE]")

_SHARED: Final = ("service_tier", "system_fingerprint")
"""What, beside its identity, every chunk of a completion repeats."""


def chunks(
    kind: str, body: Mapping[str, Any], choices: Iterable[dict[str, Any]], *, usage: bool
) -> list[ServerSentEvent]:
    """Write the chunks of a stream.

    Parameters:
        kind: The chunks' `object`.
        body: The whole reply.
        choices: The choices of the chunks, one for each.
        usage: Whether the program asked for the usage: each chunk then has a null and the last one the usage.

    Returns:
        The chunks' events and [DONE]. What the reply has beside the known is on the first chunk, which has no choices
        if the reply has none.
    """
    head: dict[str, Any] = {"id": body.get("id", ""), "object": kind, "created": body.get("created", 0)}
    head["model"] = body.get("model", "")
    head.update((key, body[key]) for key in _SHARED if key in body)
    known = {*head, "choices", "usage", "error"}
    extra = {key: value for key, value in body.items() if key not in known}
    last = {"usage": None} if usage else {}
    events: list[ServerSentEvent] = []
    for choice in choices:
        events.append(ServerSentEvent(data=write({**head, "choices": [choice], **last, **extra})))
        extra = {}
    if not events:
        events.append(ServerSentEvent(data=write({**head, "choices": [], **last, **extra})))
    if usage and body.get("usage") is not None:
        events.append(ServerSentEvent(data=write({**head, "choices": [], "usage": body["usage"]})))
    return [*events, _DONE]


def indexed(body: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Return the choices of a reply with their indices, in that order.

    Parameters:
        body: The whole reply.

    Returns:
        The choices; one without an index has that of its place.
    """
    pairs = ((choice.get("index"), at, choice) for at, choice in enumerate(objects(body.get("choices"))))
    return sorted(
        ((index if isinstance(index, int) else at, choice) for index, at, choice in pairs), key=lambda pair: pair[0]
    )


def objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of what should be a list of them.

    Parameters:
        value: Anything that a server may have sent.

    Returns:
        The objects in it, nothing if it is not a list.
    """
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut a text into pieces.

    Parameters:
        text: The text.
        size: The characters of a piece, 0 for the whole text in one.

    Yields:
        The pieces, none for an empty text.
    """
    if size <= 0:
        size = max(len(text), 1)
    for start in range(0, len(text), size):
        yield text[start : start + size]
