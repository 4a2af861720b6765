"""llmstack: a plugin-based middleware stack around the OpenAI SDK.

    from llmstack import OpenAI, Stack
    from llmstack.middleware import Logging, Retry

    client = OpenAI(stack=Stack([Retry(), Logging()]))

Names are imported when first used: ``import llmstack`` alone imports nothing of the SDK and does no I/O.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmstack._core.call import Call
    from llmstack._core.call_info import CallInfo
    from llmstack._core.chunk_filter import ChunkFilter
    from llmstack._core.configurable import Configurable
    from llmstack._core.effects import Flow, Next
    from llmstack._core.issue import Issue
    from llmstack._core.options import Options, options
    from llmstack._core.order import Stage
    from llmstack._core.pace import Pace
    from llmstack._core.plugin import Middleware, Observer, Plugin
    from llmstack._core.quantity import Bytes, Seconds
    from llmstack._core.reply import Reply
    from llmstack._core.transport import Clock, Incoming, Transport
    from llmstack._core.usage import Usage
    from llmstack._drivers.stream import AsyncStream, Stream
    from llmstack.clients import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
    from llmstack.errors import StackError
    from llmstack.hookspecs import hookimpl
    from llmstack.stack import Stack

    __version__: str

__all__ = [
    "AsyncAzureOpenAI",
    "AsyncOpenAI",
    "AsyncStream",
    "AzureOpenAI",
    "Bytes",
    "Call",
    "CallInfo",
    "ChunkFilter",
    "Clock",
    "Configurable",
    "Flow",
    "Incoming",
    "Issue",
    "Middleware",
    "Next",
    "Observer",
    "OpenAI",
    "Options",
    "Pace",
    "Plugin",
    "Reply",
    "Seconds",
    "Stack",
    "StackError",
    "Stage",
    "Stream",
    "Transport",
    "Usage",
    "__version__",
    "hookimpl",
    "options",
]

_HOMES = {
    "AsyncAzureOpenAI": "llmstack.clients",
    "AsyncOpenAI": "llmstack.clients",
    "AsyncStream": "llmstack._drivers.stream",
    "AzureOpenAI": "llmstack.clients",
    "Bytes": "llmstack._core.quantity",
    "Call": "llmstack._core.call",
    "CallInfo": "llmstack._core.call_info",
    "ChunkFilter": "llmstack._core.chunk_filter",
    "Clock": "llmstack._core.transport",
    "Configurable": "llmstack._core.configurable",
    "Flow": "llmstack._core.effects",
    "Incoming": "llmstack._core.transport",
    "Issue": "llmstack._core.issue",
    "Middleware": "llmstack._core.plugin",
    "Next": "llmstack._core.effects",
    "Observer": "llmstack._core.plugin",
    "OpenAI": "llmstack.clients",
    "Options": "llmstack._core.options",
    "Pace": "llmstack._core.pace",
    "Plugin": "llmstack._core.plugin",
    "Reply": "llmstack._core.reply",
    "Seconds": "llmstack._core.quantity",
    "Stack": "llmstack.stack",
    "StackError": "llmstack.errors",
    "Stage": "llmstack._core.order",
    "Stream": "llmstack._drivers.stream",
    "Transport": "llmstack._core.transport",
    "Usage": "llmstack._core.usage",
    "hookimpl": "llmstack.hookspecs",
    "options": "llmstack._core.options",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("llmstack-openai")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        message = f"module 'llmstack' has no attribute {name!r}"
        raise AttributeError(message)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
