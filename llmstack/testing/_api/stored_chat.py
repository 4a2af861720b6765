"""The chat completions created with ``store``: list, retrieve, update, delete, their messages."""

from __future__ import annotations

from llmstack.testing._api.resources import Resource

STORED_CHATS = Resource(
    "/chat/completions",
    "chat.completion",
    "chatcmpl-",
    verbs=frozenset({"list", "retrieve", "update", "delete"}),
)

STORED_MESSAGES = Resource(
    "/chat/completions/{completion}/messages", "chat.completion.message", "msg_", verbs=frozenset({"list"})
)
