"""A whole legacy completion as the chunks of a stream (API reference: the completion object)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmstack._wire.chunk import chunks, indexed, pieces
from llmstack._wire.sse import ServerSentEvent

__all__ = ["completion_events"]


def completion_events(body: Mapping[str, Any], *, usage: bool, piece: int = 0) -> list[ServerSentEvent]:
    """Make the events of a legacy completion.

    Parameters:
        body: The whole completion.
        usage: Whether the program asked for a usage chunk.
        piece: How many characters of text a chunk carries, 0 for all.

    Returns:
        The chunks of each choice's text, the last with its finish_reason; the usage; [DONE].
    """
    found = [choice for index, whole in indexed(body) for choice in _choices(index, whole, piece)]
    return chunks("text_completion", body, found, usage=usage)


def _choices(index: int, whole: dict[str, Any], piece: int) -> Iterator[dict[str, Any]]:
    """Yield a choice as the choices of its chunks: all but the text is on the last, which alone is typed in full."""
    text = whole.get("text")
    *others, last = list(pieces(text, piece)) if isinstance(text, str) and text else [""]
    for part in others:
        yield {"text": part, "index": index, "logprobs": None, "finish_reason": None}
    yield {"logprobs": None, "finish_reason": None, **whole, "text": last, "index": index}
