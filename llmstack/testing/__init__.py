"""The testing kit, public API: for plugins, stores and programs.

`LocalServer` and cassettes need the extra ``llmstack-openai[testing]``; the conformance suites for stores need pytest
(and `LedgerMachine` hypothesis); the rest needs nothing more. Names are imported when first used: pytest loads this
package with every run of whoever has llmstack installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmstack.testing._cassette.error import CassetteError
    from llmstack.testing._conformance.flaw import ConformanceError
    from llmstack.testing._conformance.sample import Sample
    from llmstack.testing._conformance.suite import Conformance
    from llmstack.testing._step import Emit, Now, Parallel, Run, Send, Sleep, Step, Wait, send, step
    from llmstack.testing._stores.cache import CacheStoreConformance
    from llmstack.testing._stores.ledger import LedgerConformance
    from llmstack.testing._stores.machine import LedgerMachine
    from llmstack.testing.cassette import Cassette
    from llmstack.testing.clock import FakeClock
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
    from llmstack.testing.network import NetworkBlockedError, no_network
    from llmstack.testing.recorder import Recorder
    from llmstack.testing.scripted import ScriptedTransport, Status

__all__ = [
    "CREATED",
    "FAULT_KINDS",
    "FLAG_MARKER",
    "MISSING_MODEL",
    "REFUSAL_MARKER",
    "TOOL_MARKER",
    "CacheStoreConformance",
    "Cassette",
    "CassetteError",
    "Conformance",
    "ConformanceError",
    "Emit",
    "FakeClock",
    "FaultKind",
    "FaultOptions",
    "Gate",
    "LedgerConformance",
    "LedgerMachine",
    "LocalServer",
    "NetworkBlockedError",
    "Now",
    "Parallel",
    "ReceivedRequest",
    "Recorder",
    "Run",
    "Sample",
    "Script",
    "ScriptedTransport",
    "Send",
    "Sleep",
    "Status",
    "Step",
    "Wait",
    "count_tokens",
    "no_network",
    "reply_to",
    "send",
    "step",
]

_SERVER = "llmstack.testing.local_server"
_STEP = "llmstack.testing._step"
_HOMES = {
    "CREATED": _SERVER,
    "FAULT_KINDS": _SERVER,
    "FLAG_MARKER": _SERVER,
    "MISSING_MODEL": _SERVER,
    "REFUSAL_MARKER": _SERVER,
    "TOOL_MARKER": _SERVER,
    "CacheStoreConformance": "llmstack.testing._stores.cache",
    "Cassette": "llmstack.testing.cassette",
    "CassetteError": "llmstack.testing._cassette.error",
    "Conformance": "llmstack.testing._conformance.suite",
    "Emit": _STEP,
    "FakeClock": "llmstack.testing.clock",
    "FaultKind": _SERVER,
    "FaultOptions": _SERVER,
    "Gate": _SERVER,
    "LedgerConformance": "llmstack.testing._stores.ledger",
    "LedgerMachine": "llmstack.testing._stores.machine",
    "LocalServer": _SERVER,
    "NetworkBlockedError": "llmstack.testing.network",
    "ConformanceError": "llmstack.testing._conformance.flaw",
    "Now": _STEP,
    "Parallel": _STEP,
    "ReceivedRequest": _SERVER,
    "Recorder": "llmstack.testing.recorder",
    "Run": _STEP,
    "Sample": "llmstack.testing._conformance.sample",
    "Script": _SERVER,
    "ScriptedTransport": "llmstack.testing.scripted",
    "Send": _STEP,
    "Sleep": _STEP,
    "Status": "llmstack.testing.scripted",
    "Step": _STEP,
    "Wait": _STEP,
    "count_tokens": _SERVER,
    "no_network": "llmstack.testing.network",
    "reply_to": _SERVER,
    "send": _STEP,
    "step": _STEP,
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used."""
    if name not in _HOMES:
        message = f"module 'llmstack.testing' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
