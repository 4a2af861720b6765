"""Chunk filters: what a layer offers that rewrites a stream while it passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from llmstack._core.effects import Flow

Chunk = Mapping[str, Any]
"""One streamed event's JSON object."""


class ChunkFilter(Protocol):
    """Rewrites the chunks of one streamed reply, between the wire and the program.

    If it has a method ``start()`` as well, that is run while the request is being sent; it may be a flow. A method
    ``other(value)``, which may be one too, is shown what is no chunk and passes all the same: errors, and events whose
    data is no JSON object. What it raises ends the stream before that is delivered.

    A method ``skim(data)`` saves most chunks from being parsed: it is given the JSON text of one, and returns the text
    to deliver in its place, mostly the same; None if it has to be fed. It is asked only if all filters of the stream
    have one, and not where the text has ``"error"`` in it.
    """

    def feed(self, chunk: Chunk, /) -> Sequence[Chunk] | Flow[Sequence[Chunk]]:
        """Take one chunk, return the chunks to deliver now (none, one or several)."""
        ...

    def end(self) -> Sequence[Chunk] | Flow[Sequence[Chunk]]:
        """The stream has ended: return what was kept back and may be delivered."""
        ...
