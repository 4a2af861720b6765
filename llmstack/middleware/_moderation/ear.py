"""The ear: what the chunks of a stream say, put together by who says it and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmstack.middleware._moderation.speech import said_in

__all__ = ["Channel", "Chunk", "Ear", "Speech"]

Chunk = Mapping[str, Any]
Channel = tuple[str | int, ...]
"""A choice's content, a tool call's arguments …, by where it stands in the chunk."""

_PLACE = ("output_index", "content_index", "summary_index")


@dataclass(slots=True)
class Speech:
    """What one channel has said so far.

    Attributes:
        kept: Its end: what is not judged, and enough before that to judge it by.
        dropped: Characters before that.
        judged: Characters judged, from the beginning.
        open_from: From which character on something may go on that may not occur.
        whole: All of it, in pieces; for streams that say everything again at the end.
    """

    kept: str = ""
    dropped: int = 0
    judged: int = 0
    open_from: int = 0
    whole: list[str] = field(default_factory=list)

    @property
    def all(self) -> str:
        """All of it."""
        return "".join(self.whole)

    @property
    def length(self) -> int:
        """Characters said."""
        return self.dropped + len(self.kept)


class Ear:
    """Listens to one stream.

    Attributes:
        speeches: What each channel has said.
        fresh: Characters said since this was last set to 0.
    """

    def __init__(self) -> None:
        """Nothing has been said."""
        self.speeches: dict[Channel, Speech] = {}
        self.fresh = 0

    def take(self, chunk: Chunk) -> dict[Channel, int]:
        """Note what a chunk says; returns how far each channel has come with it."""
        ends: dict[Channel, int] = {}
        kind = chunk.get("type")
        if isinstance(kind, str) and kind.endswith(".delta"):
            delta = chunk.get("delta")
            if isinstance(delta, str) and not kind.endswith("audio.delta"):
                # Some servers give an item another id in each event: its place tells better.
                item = chunk.get("item_id") if chunk.get("output_index") is None else None
                self._say((kind, str(item), *(str(chunk.get(name)) for name in _PLACE)), delta, ends)
                return ends
            if isinstance(delta, str):
                return ends
        if not isinstance(kind, str):
            for channel, text in said_in(chunk.get("choices"), inside=True):
                self._say(channel, text, ends)
            return ends
        response = chunk.get("response")
        for channel, text in said_in(response.get("output") if isinstance(response, Mapping) else chunk):
            # The events of a Response tell at the end what they have told in pieces.
            if not self._was_said(text):
                self._say((kind, len(self.speeches), *channel), text, ends)
        return ends

    def _say(self, channel: Channel, text: str, ends: dict[Channel, int]) -> None:
        said = self.speeches.setdefault(channel, Speech())
        said.kept += text
        said.whole.append(text)
        self.fresh += len(text)
        ends[channel] = said.length

    def _was_said(self, text: str) -> bool:
        for said in self.speeches.values():
            if len(said.whole) > 1:
                said.whole[:] = ["".join(said.whole)]
        return any(text in said.whole[0] for said in self.speeches.values() if said.whole)
