"""Choosing the assembly for an endpoint."""

from __future__ import annotations

from llmstack._wire.assembly_base import LIMIT, Assembly
from llmstack._wire.assembly_chat import ChatAssembly
from llmstack._wire.assembly_completions import CompletionsAssembly
from llmstack._wire.assembly_generic import GenericAssembly
from llmstack._wire.assembly_responses import ResponsesAssembly

__all__ = ["LIMIT", "Assembly", "assembly"]


def assembly(endpoint: str, *, limit: int = LIMIT, choices: int = 1) -> Assembly:
    """Start assembling a streamed reply.

    Parameters:
        endpoint: The endpoint as `endpoint_of` names it; one without an assembly of its own gets the generic one.
        limit: How many characters of data to keep; beyond it there is no body, all else stays right.
        choices: How many choices were asked for (`n`): with fewer a chat or legacy completion is not complete.

    Returns:
        An assembly that has seen nothing yet.
    """
    if endpoint == "chat.completions":
        return ChatAssembly(limit=limit, choices=choices)
    if endpoint == "responses":
        return ResponsesAssembly(limit=limit)
    if endpoint == "completions":
        return CompletionsAssembly(limit=limit, choices=choices)
    return GenericAssembly(endpoint, limit=limit)
