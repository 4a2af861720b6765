"""The testing kit, public API: a scripted transport, a local server with faults, a clock that tests move.

`LocalServer` needs the extra ``llmstack-openai[testing]``; the rest needs nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmstack.testing.clock import FakeClock
from llmstack.testing.recorder import Recorder
from llmstack.testing.scripted import ScriptedTransport, Status

if TYPE_CHECKING:
    from llmstack.testing.local_server import LocalServer

__all__ = ["FakeClock", "LocalServer", "Recorder", "ScriptedTransport", "Status"]


def __getattr__(name: str) -> Any:
    """Import `LocalServer` when it is used: its dependencies are an extra."""
    if name == "LocalServer":
        from llmstack.testing.local_server import LocalServer

        return LocalServer
    message = f"module 'llmstack.testing' has no attribute {name!r}"
    raise AttributeError(message)
