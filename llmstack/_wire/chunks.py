"""Chunks: what the SDK's stream makes of each event, without the SDK where it is certain what that is.

The rules are those of ``openai/_streaming.py``, `Stream.__stream__`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from llmstack._core.transport import ServerEvent
from llmstack._wire.parse import UNPARSED, Parser, parser_of
from llmstack._wire.sdk import api_error
from llmstack._wire.sdk_hot import parses_as_usual

__all__ = ["UNPARSED", "Chunks"]


class Chunks:
    """Makes the chunks of one stream."""

    __slots__ = ("_cast_to", "_client", "_parse", "_parser")

    def __init__(self, stream: Any, parser: Parser) -> None:
        self._client, self._cast_to = stream._client, stream._cast_to  # noqa: SLF001 - the SDK's own
        self._parser = parser
        self._parse = parser.event

    @classmethod
    def of(cls, stream: Any) -> Self | None:
        """The chunks of one of the SDK's streams; None if its own loop must make them."""
        options = getattr(stream, "_options", None)
        if getattr(options, "synthesize_event_and_data", None) or getattr(options, "stream_mode", "legacy") != "legacy":
            return None
        if not parses_as_usual(stream._client):  # noqa: SLF001 - as above
            return None
        try:
            parser = parser_of(stream._cast_to)  # noqa: SLF001 - as above
        except TypeError:  # not hashable
            return None
        return None if parser is None else cls(stream, parser)

    def parse(self, event: ServerEvent) -> Any:
        """The chunk of an event; `UNPARSED` for the end marker, which is no JSON, and one that `by_sdk` must make.

        Args:
            event: The event.
        """
        name = event.event
        return self._parse(event.data) if name is None or not name.startswith("thread.") else UNPARSED

    def by_sdk(self, event: ServerEvent, response: Any) -> Any:
        """The chunk of an event that may be an error, or is odd in any other way.

        Args:
            event: The event.
            response: What the stream is read from.

        Raises:
            openai.APIError: If the event reports an error.
            ValueError: If it has no JSON.
        """
        value = event.json()
        if event.event and event.event.startswith("thread."):
            value = {"data": value, "event": event.event}
        elif isinstance(value, Mapping) and value.get("error"):
            raise api_error(value["error"], response.request)
        else:
            chunk = self._parser.value(value)
            if chunk is not UNPARSED:
                return chunk
        return self._client._process_response_data(data=value, cast_to=self._cast_to, response=response)  # noqa: SLF001
