"""Transports: where the stack ends and the network begins.

The ones that translate are imported when first used: every client imports this package, and few need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmstack._core.place import Place
from llmstack.transports.delivery import Delivery, delivery
from llmstack.transports.guarding import guarded
from llmstack.transports.openai import OpenAITransport

if TYPE_CHECKING:
    from llmstack.transports._translation.responses_store import MemoryResponses, ResponseStore, StoredResponse
    from llmstack.transports.azure import AzureTransport
    from llmstack.transports.chat import ChatTransport
    from llmstack.transports.http import outgoing, round_trip
    from llmstack.transports.responses import ResponsesTransport

__all__ = [
    "AzureTransport",
    "ChatTransport",
    "Delivery",
    "MemoryResponses",
    "OpenAITransport",
    "Place",
    "ResponseStore",
    "ResponsesTransport",
    "StoredResponse",
    "delivery",
    "guarded",
    "outgoing",
    "round_trip",
]

_STORE = "llmstack.transports._translation.responses_store"
_HTTP = "llmstack.transports.http"
_HOMES = {
    "AzureTransport": "llmstack.transports.azure",
    "ChatTransport": "llmstack.transports.chat",
    "MemoryResponses": _STORE,
    "ResponseStore": _STORE,
    "ResponsesTransport": "llmstack.transports.responses",
    "StoredResponse": _STORE,
    "outgoing": _HTTP,
    "round_trip": _HTTP,
}


def __getattr__(name: str) -> Any:
    """Import a transport when it is first used."""
    if name not in _HOMES:
        message = f"module 'llmstack.transports' has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
