"""Embeddings: each input is a question of its own, so that a batch asks only for what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from llmstack import Call, Reply, Usage
from llmstack.middleware._cache.entry import Answer, Kept, origin, packed, unpacked
from llmstack.middleware._cache.question import Answered, is_keepable
from llmstack.middleware._cache.vector import Vector, around, together, vectors_of

__all__ = ["EmbeddingQuestion", "inputs"]

_LENGTHS: Final = ("content-length", "content-encoding", "transfer-encoding")


def inputs(params: Mapping[str, Any]) -> list[Any] | None:
    """The inputs of a call: texts, or lists of tokens; None if they are neither."""
    given = params.get("input")
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        return None
    if all(type(item) is int for item in given):
        return [given]
    return given if all(isinstance(item, (str, list)) for item in given) else None


@dataclass(frozen=True, slots=True)
class EmbeddingQuestion:
    """A call for embeddings.

    Attributes:
        key: The key of all of it.
        keys: The key of each input; inputs that are alike have the same.
        items: The inputs.
    """

    key: str
    keys: Sequence[str]
    items: Sequence[Any] = field(repr=False)

    def read(self, key: str, value: bytes) -> Kept | None:
        """See `Question`. What `Kept.read` has is a `Vector`."""
        found = unpacked(key, value)
        vector = None if found is None else Vector.of(found[0])
        return None if found is None or vector is None else Kept(*found, vector)

    def fits(self, kept: Kept) -> bool:  # noqa: ARG002 - one is like another
        """See `Question`."""
        return True

    def answer(self, kept: Sequence[Kept | None], age: float, *, stale: bool = False) -> Answer | None:
        """See `Question`. What different models made does not go together."""
        known: list[Vector] = [one.read for one in kept if one is not None]
        if len(known) != len(kept) or len({one.model for one in known}) != 1:
            return None
        tokens = sum(one.tokens for one in known)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return Answer(together([one.text for one in known], known[0].model, usage), "", age, stale)

    def rest(self, call: Call, kept: Sequence[Kept | None]) -> Call:
        """See `Question`."""
        asked = self._asked(kept)
        return call if len(asked) == len(self.items) else call.with_params(input=[self.items[i] for i in asked])

    def answered(self, reply: Reply, kept: Sequence[Kept | None]) -> Answered | None:
        """See `Question`."""
        asked = self._asked(kept)
        content = reply.content or b""
        found = vectors_of(content, reply.body, len(asked)) if is_keepable(reply) else None
        if found is None:
            return Answered(reply) if len(asked) == len(self.items) else None
        model, usage = reply.model or "", reply.body.get("usage")
        if any(one is not None and one.read.model != model for one in kept):
            return None
        if len(asked) < len(self.items):
            by_key = {self.keys[i]: one for i, one in zip(asked, found, strict=True)}
            by_key |= {key: one.read.text for key, one in zip(self.keys, kept, strict=True) if one is not None}
            content = together([by_key[key] for key in self.keys], model, usage)
            headers = {name: value for name, value in reply.headers.items() if name.lower() not in _LENGTHS}
            usage_now = reply.usage
            reply = Reply(content=content, headers={**headers, "x-llmstack-cache": "partial"}, usage=usage_now)
        entries = self._entries(asked, found, model, reply)
        return Answered(reply, Answer(content, reply.request_id or ""), entries)

    def _asked(self, kept: Sequence[Kept | None]) -> list[int]:
        """Which inputs are asked for: those not known, each once."""
        missing: dict[str, int] = {}
        for i, (key, one) in enumerate(zip(self.keys, kept, strict=True)):
            if one is None:
                missing.setdefault(key, i)
        return list(missing.values())

    def _entries(self, asked: Sequence[int], found: Sequence[bytes], model: str, reply: Reply) -> dict[str, bytes]:
        """What is to be kept: for each input its embedding, and its share of the tokens."""
        tokens = _shares((reply.usage or Usage()).input_tokens, [len(self.items[i]) for i in asked])
        whence = origin(reply.request_id, streamed=False)
        entries: dict[str, bytes] = {}
        for i, text, share in zip(asked, found, tokens, strict=True):
            key = self.keys[i]
            value = packed(key, text, whence, around(model, share))
            if value is not None:
                entries[key] = value
        return entries


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """Deal out whole tokens by weight, so that their sum is right."""
    whole = sum(weights) or 1
    shares: list[int] = []
    passed = given = 0
    for weight in weights:
        passed += weight
        share = total * passed // whole - given
        given += share
        shares.append(share)
    return shares
