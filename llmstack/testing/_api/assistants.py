"""Assistants, threads and messages."""

from __future__ import annotations

from llmstack.testing._api.answer import Json
from llmstack.testing._api.resources import Resource
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED


def _assistant(call: ApiCall) -> Json:
    given = call.body
    return {
        "tools": given.get("tools") or [],
        "name": given.get("name"),
        "description": given.get("description"),
        "instructions": given.get("instructions"),
        "tool_resources": given.get("tool_resources") or {},
        "response_format": given.get("response_format") or "auto",
    }


def thread_fields(call: ApiCall) -> Json:
    """A new thread with the messages it begins with."""
    thread_id = call.memory.new_id("thread_")
    for message in call.body.get("messages") or []:
        add_message(call, thread_id, message)
    return {"id": thread_id, "tool_resources": call.body.get("tool_resources") or {}, "messages": None}


def add_message(call: ApiCall, thread_id: str, message: Json, run: Json | None = None) -> Json:
    """Append ``message`` (``role`` and ``content``) to a thread; ``run`` if a run said it."""
    item = {
        "object": "thread.message",
        "created_at": CREATED,
        "metadata": {},
        **message,
        **_message_fields(thread_id, message),
        "id": call.memory.new_id("msg_"),
        "assistant_id": run["assistant_id"] if run else None,
        "run_id": run["id"] if run else None,
    }
    return call.memory.collection(f"/threads/{thread_id}/messages").add(item)


def _message(call: ApiCall) -> Json:
    return {**_message_fields(call.ids["thread"], call.body), "assistant_id": None, "run_id": None}


def _message_fields(thread_id: str, message: Json) -> Json:
    content = message.get("content") or ""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {
        "thread_id": thread_id,
        "status": "completed",
        "attachments": message.get("attachments") or [],
        "content": [_block(part) for part in parts],
    }


def _block(part: Json) -> Json:
    """A part as it is sent has plain text; as it is kept, a value with annotations."""
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": {"value": part["text"], "annotations": []}}
    return part


ASSISTANTS = Resource("/assistants", "assistant", "asst_", _assistant)
THREADS = Resource(
    "/threads", "thread", "thread_", thread_fields, verbs=frozenset({"create", "retrieve", "update", "delete"})
)
MESSAGES = Resource("/threads/{thread}/messages", "thread.message", "msg_", _message)
