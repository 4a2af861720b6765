"""The ear: what the chunks of a stream say, put together by who says it and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstack.middleware._moderation.picture import pictures_in
from llmstack.middleware._moderation.speech import said_in

__all__ = ["Channel", "Chunk", "Ear", "Speech"]

Chunk = Mapping[str, Any]
Channel = tuple[str | int, ...]
"""A choice's content, a tool call's arguments …, by where it stands in the chunk."""

_PLACE = ("output_index", "content_index", "summary_index")


class Speech:
    """What one channel has said so far.

    Attributes:
        dropped: Characters before those that are kept.
        length: Characters said.
        judged: Characters judged, from the beginning.
        open_from: From which character on something may go on that may not occur.
    """

    __slots__ = ("_kept", "_whole", "dropped", "judged", "length", "open_from")

    def __init__(self) -> None:
        """Nothing has been said."""
        # In pieces: to add each to what there is would take time that grows with the square of the length.
        self._kept: list[str] = []
        self._whole: list[str] = []
        self.dropped = 0
        self.length = 0
        self.judged = 0
        self.open_from = 0

    @property
    def is_open(self) -> bool:
        """Whether its end, as far as it has been judged, may become what may not occur."""
        return self.open_from < self.judged

    @property
    def kept(self) -> str:
        """Its end: what is not judged, and enough before that to judge it by."""
        self._kept = ["".join(self._kept)]
        return self._kept[0]

    @property
    def all(self) -> str:
        """All of it; streams may say everything again at the end."""
        self._whole = ["".join(self._whole)]
        return self._whole[0]

    def say(self, text: str) -> None:
        """Go on."""
        self._kept.append(text)
        self._whole.append(text)
        self.length += len(text)

    def drop(self, count: int) -> None:
        """Keep so many characters less."""
        self._kept = [self.kept[count:]]
        self.dropped += count


class Ear:
    """Listens to one stream.

    Attributes:
        speeches: What each channel has said.
        images: What has been shown, in order.
        fresh: The speeches that have gone on since `rest`.
        count: Characters said since then.
    """

    def __init__(self) -> None:
        """Nothing has been said."""
        self.speeches: dict[Channel, Speech] = {}
        self.images: dict[str, None] = {}
        self.fresh: dict[Channel, Speech] = {}
        self.count = 0
        self._known: set[str] = set()
        self._noted: dict[Channel, str] = {}
        self._changed: dict[Channel, Speech] = {}

    def rest(self) -> None:
        """What has been said up to here is no more fresh."""
        self.fresh = {}
        self.count = 0

    def take(self, chunk: Chunk) -> dict[Channel, int]:
        """Note what a chunk says and shows; returns how far each channel has come with it."""
        ends: dict[Channel, int] = {}
        choices, kind = chunk.get("choices"), chunk.get("type")
        if choices is not None:
            for channel, text in said_in(choices, inside=True):
                self._say(channel, text, ends)
        if isinstance(kind, str) and kind.endswith(".delta") and "delta" in chunk:
            if kind.endswith("audio.delta"):
                return ends
            # Some servers give an item another id in each event: its place tells better.
            item = chunk.get("item_id") if chunk.get("output_index") is None else None
            place = (kind, str(item), *(str(chunk.get(name)) for name in _PLACE))
            for within, text in said_in(chunk["delta"], inside=True):
                self._say((*place, *within), text, ends)
        elif choices is None:
            response = chunk.get("response")
            for channel, text in said_in(response.get("output") if isinstance(response, Mapping) else chunk):
                # The events of a Response tell at the end what they have told in pieces.
                if not self._was_said(text):
                    self._say((str(kind), len(self.speeches), *channel), text, ends)
        self.images.update(dict.fromkeys(pictures_in(chunk)))
        return ends

    def _say(self, channel: Channel, text: str, ends: dict[Channel, int]) -> None:
        said = self.speeches.setdefault(channel, Speech())
        said.say(text)
        self.fresh[channel] = self._changed[channel] = said
        self.count += len(text)
        ends[channel] = said.length

    def _was_said(self, text: str) -> bool:
        """Whether a channel has said exactly this: a part of it ("evil" of "devil") may be something else."""
        for channel, said in self._changed.items():
            self._known.discard(self._noted.get(channel, ""))
            self._noted[channel] = said.all
            self._known.add(said.all)
        self._changed = {}
        return text in self._known
