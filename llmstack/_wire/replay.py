"""Turning a whole reply into the events of a stream, for a program that asked for one and is answered from a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstack._wire.replay_chat import chat_events
from llmstack._wire.replay_completions import completion_events
from llmstack._wire.replay_responses import response_events
from llmstack._wire.sse import ServerSentEvent

__all__ = ["replay"]


def replay(
    endpoint: str, body: Mapping[str, Any], params: Mapping[str, Any], *, piece: int = 0
) -> list[ServerSentEvent]:
    """Make the events with which an endpoint would have streamed a reply.

    `assembly(endpoint)` makes the body of them again, but for the usage where the program did not ask for it, and in
    the normal form of a chat completion: content, refusal and logprobs are there if only as null, the content is null
    where a message has none beside its tool calls, refusal or audio, and its other fields are not null nor empty lists.

    Parameters:
        endpoint: The endpoint, as `endpoint_of` names it.
        body: The reply, parsed.
        params: The request's parameters, of which `stream_options.include_usage` matters.
        piece: How many characters of text an event carries; 0 for each text in one piece.

    Returns:
        The events in order, with [DONE] if the endpoint ends its streams so.

    Raises:
        ValueError: Replies of this endpoint, or a response that has not ended, cannot be replayed as a stream.
    """
    if endpoint == "chat.completions":
        return chat_events(body, usage=_wants_usage(params), piece=piece)
    if endpoint == "responses":
        return response_events(body, piece=piece)
    if endpoint == "completions":
        return completion_events(body, usage=_wants_usage(params), piece=piece)
    msg = f"a reply of {endpoint!r} cannot be replayed as a stream"
    raise ValueError(msg)


def _wants_usage(params: Mapping[str, Any]) -> bool:
    options = params.get("stream_options")
    return isinstance(options, Mapping) and bool(options.get("include_usage"))
