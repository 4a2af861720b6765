"""Events of a streamed Response, and the chunks that are to come of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from llmstack.transports._translation.chat_chunks import ChatChunks

Json = dict[str, Any]

CREATED = {
    "type": "response.created",
    "response": {"id": "resp_1", "created_at": 5.0, "model": "m", "status": "in_progress"},
}
HEAD = {"id": "resp_1", "object": "chat.completion.chunk", "created": 5, "model": "m", "service_tier": None}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def chunk(delta: Json, reason: str | None = None, logprobs: Json | None = None, **more: Any) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    return {**HEAD, "system_fingerprint": None, "choices": [choice], **more}


def opening(content: str | None = "") -> Json:
    return chunk({"role": "assistant", "content": content, "refusal": None})


def told(events: Iterable[Json], **params: Any) -> list[Json]:
    """All chunks of a stream."""
    translator = ChatChunks(params)
    return [chunk for event in events for chunk in translator.feed(event)] + translator.end()


def ended(kind: str = "completed", output: Sequence[Json] = (), **more: Any) -> Json:
    """The last event."""
    response = {"id": "resp_1", "created_at": 5.0, "model": "m", "status": kind, "output": list(output), "usage": USAGE}
    return {"type": f"response.{kind}", "response": {**response, **more}}


def event(kind: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}", "output_index": 0, "content_index": 0, **fields}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}
