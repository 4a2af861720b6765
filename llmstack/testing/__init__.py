"""The testing kit, public API: a scripted transport, a local server with faults, a clock that tests move.

`LocalServer` needs the extra ``llmstack-openai[testing]``; the rest needs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmstack.testing.clock import FakeClock
from llmstack.testing.recorder import Recorder
from llmstack.testing.scripted import ScriptedTransport, Status

if TYPE_CHECKING:
    from llmstack.testing.local_server import (
        CREATED,
        FAULT_KINDS,
        FLAG_MARKER,
        MISSING_MODEL,
        REFUSAL_MARKER,
        TOOL_MARKER,
        FaultKind,
        FaultOptions,
        Gate,
        LocalServer,
        ReceivedRequest,
        Script,
        count_tokens,
        reply_to,
    )

__all__ = [
    "CREATED",
    "FAULT_KINDS",
    "FLAG_MARKER",
    "MISSING_MODEL",
    "REFUSAL_MARKER",
    "TOOL_MARKER",
    "FakeClock",
    "FaultKind",
    "FaultOptions",
    "Gate",
    "LocalServer",
    "ReceivedRequest",
    "Recorder",
    "Script",
    "ScriptedTransport",
    "Status",
    "count_tokens",
    "reply_to",
]


def __getattr__(name: str) -> Any:
    """Import the server, and what belongs to it, when it is used: its dependencies are an extra."""
    if name in __all__:
        from llmstack.testing import local_server

        return getattr(local_server, name)
    message = f"module 'llmstack.testing' has no attribute {name!r}"
    raise AttributeError(message)
