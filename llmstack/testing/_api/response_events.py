"""A finished response as the events that would have streamed it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from llmstack.testing._api.answer import Event, Json
from llmstack.testing._api.text import split_tokens


def response_events(response: Json) -> Iterator[Event]:
    """The full sequence for ``response``, from ``response.created`` to its end, numbered from 0.

    The same response gives the same events each time, which is what makes resuming exact.
    """
    numbers = count()
    for name, fields in _sequence(response):
        yield Event({"type": name, "sequence_number": next(numbers), **fields}, name=name)


def _sequence(response: Json) -> Iterator[tuple[str, Json]]:
    unfinished: Json = {"status": "in_progress", "output": [], "usage": None, "completed_at": None}
    opening = {**response, **unfinished, "incomplete_details": None}
    yield "response.created", {"response": opening}
    yield "response.in_progress", {"response": opening}
    for index, item in enumerate(response["output"]):
        place = {"output_index": index}
        blank: Json = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
        yield "response.output_item.added", {**place, "item": {**item, "status": "in_progress", **blank}}
        if item["type"] == "function_call":
            yield from _call_events(item, {"item_id": item["id"], **place})
        else:
            yield from _message_events(item, {"item_id": item["id"], **place})
        yield "response.output_item.done", {**place, "item": item}
    yield f"response.{response['status']}", {"response": response}


def _call_events(item: Json, place: Json) -> Iterator[tuple[str, Json]]:
    for piece in split_tokens(item["arguments"]):
        yield "response.function_call_arguments.delta", {**place, "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield "response.function_call_arguments.done", {**place, **done}


def _message_events(item: Json, place: Json) -> Iterator[tuple[str, Json]]:
    for number, part in enumerate(item["content"]):
        here = {**place, "content_index": number}
        key = "refusal" if part["type"] == "refusal" else "text"
        kind = "refusal" if key == "refusal" else "output_text"
        rows: list[Json] = part.get("logprobs") or []
        extra: Json = {} if key == "refusal" else {"logprobs": rows}
        yield "response.content_part.added", {**here, "part": {**part, key: ""}}
        for at, piece in enumerate(split_tokens(part[key])):
            own: Json = {"logprobs": rows[at : at + 1]} if extra else {}
            yield f"response.{kind}.delta", {**here, "delta": piece, **own}
        yield f"response.{kind}.done", {**here, key: part[key], **extra}
        yield "response.content_part.done", {**here, "part": part}
