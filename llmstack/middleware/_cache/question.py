"""Questions: what a call asks for, as entries of a cache; one for most calls, one for each input of an embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic_core import from_json

from llmstack import Call, Reply
from llmstack.middleware._cache.answer import is_whole
from llmstack.middleware._cache.entry import LARGEST, Answer, Kept, origin, packed, unpacked

__all__ = ["Answered", "Question", "WholeQuestion", "is_keepable"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a call that was sent has brought.

    Attributes:
        reply: For the program.
        answer: The same for others who ask the same; None if it is not worth keeping.
        entries: What is to be kept, by key.
    """

    reply: Reply
    answer: Answer | None = None
    entries: Mapping[str, bytes] = field(default_factory=dict, repr=False)


class Question(Protocol):
    """A call, seen as what it asks for."""

    @property
    def key(self) -> str:
        """The key of all of it."""
        ...

    @property
    def keys(self) -> Sequence[str]:
        """The keys of its entries, in order."""
        ...

    def read(self, key: str, value: bytes) -> Kept | None:
        """What an entry holds; None if it is no answer at all, and so is to be dropped."""
        ...

    def fits(self, kept: Kept) -> bool:
        """Whether it has all that this call wants to know."""
        ...

    def answer(self, kept: Sequence[Kept | None], age: float, *, stale: bool = False) -> Answer | None:
        """The whole answer from its entries; None if one is missing, or they do not go together.

        Args:
            kept: What the entries hold.
            age: Seconds since the oldest was stored.
            stale: True if any is too old.
        """
        ...

    def rest(self, call: Call, kept: Sequence[Kept | None]) -> Call:
        """The call for what is missing; the same call if all of it is."""
        ...

    def answered(self, reply: Reply, kept: Sequence[Kept | None]) -> Answered | None:
        """What a reply to `rest` makes; None if it does not go together with what is known."""
        ...


def is_keepable(reply: Reply) -> bool:
    """Whether a reply may be kept, whatever it says."""
    return reply.complete and not reply.no_store and reply.status == 200  # noqa: PLR2004 - HTTP


@dataclass(frozen=True, slots=True)
class WholeQuestion:
    """A call whose answer is kept as it is.

    Attributes:
        call: The call.
        key: Its key.
        tool_calls: Whether an answer that calls tools is kept.
    """

    call: Call
    key: str
    tool_calls: bool

    @property
    def keys(self) -> Sequence[str]:
        """See `Question`."""
        return (self.key,)

    def read(self, key: str, value: bytes) -> Kept | None:
        """See `Question`. What `Kept.read` has is its JSON value."""
        found = unpacked(key, value)
        if found is None:
            return None
        try:
            body = from_json(found[0])
        except ValueError:
            return None
        return Kept(*found, body) if is_whole(self.call, body, tool_calls=self.tool_calls) else None

    def fits(self, kept: Kept) -> bool:
        """See `Question`. A stream may have told no usage, and a program may count on it."""
        if not kept.streamed or kept.read.get("usage"):
            return True
        options = self.call.params.get("stream_options")
        return self.call.stream and not (isinstance(options, dict) and options.get("include_usage"))

    def answer(self, kept: Sequence[Kept | None], age: float, *, stale: bool = False) -> Answer | None:
        """See `Question`."""
        (one,) = kept
        return None if one is None else Answer(one.content, one.request_id, age, stale, one.read)

    def rest(self, call: Call, kept: Sequence[Kept | None]) -> Call:  # noqa: ARG002 - nothing is known
        """See `Question`."""
        return call

    def answered(self, reply: Reply, kept: Sequence[Kept | None]) -> Answered | None:  # noqa: ARG002 - the same
        """See `Question`."""
        if not is_keepable(reply) or not is_whole(self.call, reply.body, tool_calls=self.tool_calls):
            return Answered(reply)
        content = reply.content
        if content is None or len(content) > LARGEST:
            return Answered(reply)
        value = packed(self.key, content.strip(), origin(reply.request_id, streamed=self.call.stream))
        entries = {} if value is None else {self.key: value}
        return Answered(reply, Answer(content, reply.request_id or ""), entries)
