"""The testing kit, public API: a scripted transport, a local server with faults, a clock that tests move.

`LocalServer` needs the extra ``llmstack-openai[testing]``, the conformance suites for stores need pytest (and
`LedgerMachine` hypothesis); the rest needs nothing more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmstack.testing.clock import FakeClock
from llmstack.testing.recorder import Recorder
from llmstack.testing.scripted import ScriptedTransport, Status

if TYPE_CHECKING:
    from llmstack.testing._stores.cache import CacheStoreConformance
    from llmstack.testing._stores.ledger import LedgerConformance
    from llmstack.testing._stores.machine import LedgerMachine
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
    "CacheStoreConformance",
    "FakeClock",
    "FaultKind",
    "FaultOptions",
    "Gate",
    "LedgerConformance",
    "LedgerMachine",
    "LocalServer",
    "ReceivedRequest",
    "Recorder",
    "Script",
    "ScriptedTransport",
    "Status",
    "count_tokens",
    "reply_to",
]


_SUITES = {
    "CacheStoreConformance": "llmstack.testing._stores.cache",
    "LedgerConformance": "llmstack.testing._stores.ledger",
    "LedgerMachine": "llmstack.testing._stores.machine",
}


def __getattr__(name: str) -> Any:
    """Import the server, and what belongs to it, when it is used: its dependencies are an extra. So are the suites."""
    if name in _SUITES:
        return getattr(import_module(_SUITES[name]), name)
    if name in __all__:
        from llmstack.testing import local_server

        return getattr(local_server, name)
    message = f"module 'llmstack.testing' has no attribute {name!r}"
    raise AttributeError(message)
