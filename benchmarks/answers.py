"""The answers of the benchmarks' server, as bytes made once: what the API answers, in its usual size and with its usual
headers."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

_SYLLABLES = ("sta", "ck", "of", "tur", "tle", "lay", "er", "in", "mid", "dle", "wa", "re", "to", "ken", "ed")
SAID = [f"{first}{second} " for first in _SYLLABLES for second in _SYLLABLES][:200]
"""What the model says, a word in each event; no two are the same."""
WORDS = len(SAID)
INPUTS = 100
DIMENSIONS = 256
PACED = 60
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5-mini", "service_tier": "default", "system_fingerprint": "fp"}
_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": WORDS,
    "total_tokens": 20 + WORDS,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_HEADERS = """
date: Mon, 02 Jan 2006 15:04:05 GMT
x-request-id: req_0123456789abcdef0123456789abcdef
openai-organization: example
openai-processing-ms: 412
openai-version: 2020-10-01
x-ratelimit-limit-requests: 10000
x-ratelimit-limit-tokens: 2000000
x-ratelimit-remaining-requests: 9999
x-ratelimit-remaining-tokens: 1999970
x-ratelimit-reset-requests: 6ms
x-ratelimit-reset-tokens: 0s
strict-transport-security: max-age=31536000; includeSubDomains; preload
""".strip().splitlines()


def _chat() -> Any:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(SAID), "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}


def _chat_chunks(*, usage: bool) -> list[bytes]:
    """The events of a stream; with the usage if ``stream_options.include_usage`` asks for it."""
    deltas: list[dict[str, str]] = [
        {"role": "assistant", "content": ""},
        *({"content": word} for word in SAID),
        {},
    ]
    events: list[bytes] = []
    for i, delta in enumerate(deltas):
        end = "stop" if i == len(deltas) - 1 else None
        choice = {"index": 0, "delta": delta, "finish_reason": end, "logprobs": None}
        events.append(_chat_chunk([choice], {"usage": None} if usage else {}))
    if usage:
        events.append(_chat_chunk([], {"usage": _USAGE}))
    return [*events, b"data: [DONE]\n\n"]


def _chat_chunk(choices: list[Any], more: dict[str, Any]) -> bytes:
    chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _response(status: str, output: list[Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": WORDS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 20 + WORDS,
    }
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "background": False, "error": None,
        "incomplete_details": None, "instructions": None, "max_output_tokens": None, "max_tool_calls": None,
        "model": "gpt-5-mini", "output": output, "parallel_tool_calls": True, "previous_response_id": None,
        "prompt_cache_key": None, "reasoning": {"effort": "medium", "summary": None}, "safety_identifier": None,
        "service_tier": "default", "store": True, "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto", "tools": [],
        "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "usage": usage if output else None, "user": None,
        "metadata": {},
    }  # fmt: skip


def _message(text: str, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    content = [part] if text else []
    return {"id": "msg_1", "type": "message", "status": status, "content": content, "role": "assistant"}


def _response_events() -> list[bytes]:
    text = "".join(SAID)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    delta = {"type": "response.output_text.delta", **place}
    empty = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response("in_progress", [])},
        {"type": "response.in_progress", "response": _response("in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": _message("", "in_progress")},
        {"type": "response.content_part.added", **place, "part": empty},
        *(
            # What pads them is of another length each time.
            {**delta, "delta": word, "logprobs": [], "obfuscation": "abcdefghijkl"[: 1 + i % 12]}
            for i, word in enumerate(SAID)
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": {**empty, "text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": _message(text)},
        {"type": "response.completed", "response": _response("completed", [_message(text)])},
    ]
    numbered = ({**event, "sequence_number": i} for i, event in enumerate(events))
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in numbered]


def _embeddings() -> Any:
    vector = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *(i / DIMENSIONS for i in range(DIMENSIONS)))).decode()
    data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(INPUTS)]
    usage = {"prompt_tokens": 8 * INPUTS, "total_tokens": 8 * INPUTS}
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}


def _head(kind: str, *more: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"content-type: {kind}", *_HEADERS, *more, "", ""]).encode()


def _whole(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return _head("application/json", f"content-length: {len(body)}") + body


def chunked(piece: bytes) -> bytes:
    """One chunk of a body, as HTTP/1.1 frames it; the empty one is the end."""
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def paced(events: list[bytes]) -> list[bytes]:
    """The beginning and the end of a stream, `PACED` events in all: one that comes as slowly as a model speaks."""
    return [*events[: PACED - 2], *events[-2:]]


WHOLE = {
    b"/chat/completions": _whole(_chat()),
    b"/responses": _whole(_response("completed", [_message("word " * WORDS)])),
    b"/embeddings": _whole(_embeddings()),
}
STREAMS = {
    (b"/chat/completions", False): _chat_chunks(usage=False),
    (b"/chat/completions", True): _chat_chunks(usage=True),
    (b"/responses", False): _response_events(),
}
"""The events of streams, by their path and by whether the request asks for the usage."""
EVENTS = {path.decode(): len(events) for (path, usage), events in STREAMS.items() if not usage}
"""How many of them a program sees."""
STREAM_HEAD = _head("text/event-stream; charset=utf-8", "transfer-encoding: chunked")
BURSTS = {which: STREAM_HEAD + b"".join(map(chunked, events)) + chunked(b"") for which, events in STREAMS.items()}
"""Streams written at once: as many events in a read as fit."""
